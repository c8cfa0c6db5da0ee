package pages

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/chromium"
)

var update = flag.Bool("update", false, "rewrite the pictures of docs")

// served is a server of the page of a report that can change.
func served(t testing.TB, clock clock.Clock, report *decision.Report) (*atomic.Pointer[decision.Report], *httptest.Server) {
	t.Helper()
	s := &atomic.Pointer[decision.Report]{}
	s.Store(report)
	server := httptest.NewServer(NewPage(s.Load, clock))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return s, server
}

const isLive = `document.getElementById("live").textContent === "Live"`

// openAll opens everything that is folded.
const openAll = `document.querySelectorAll("details").forEach((details) => { details.open = true })`

func TestPageInBrowser(t *testing.T) {
	page := chromium.Open(t)
	for name, report := range map[string]*decision.Report{"busy": busy(), "quiet": quiet(), "old": old(), "none": {}, "large": large(1000, 10_000, 5000), "hostile": hostileReport(3, 10, 6)} {
		_, server := served(t, testclock.NewFakeClock(now), report)
		for _, width := range []int{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(strings.Join([]string{name, map[int]string{1280: "desk", 390: "phone"}[width], scheme}, "/"), func(t *testing.T) {
					page.Look(width, scheme)
					page.Go(server.URL + Path)
					page.Await(isLive)
					page.Eval(openAll, nil)
					var faults []string
					page.Eval(faultsOfLook, &faults)
					if name == "hostile" { // no column is as wide as its words
						faults = slices.DeleteFunc(faults, func(fault string) bool { return strings.HasPrefix(fault, "broken word") })
					}
					assert.Empty(t, faults, "faults")
					var foreign []string
					page.Eval(`[...document.querySelectorAll("script:not([src='status/app.js']), img, iframe, [onerror], [onfocus], [style]")].map((e) => e.outerHTML).concat(typeof hacked === "undefined" ? [] : ["hacked"])`, &foreign)
					assert.Empty(t, foreign, "foreign elements")
				})
			}
		}
	}
	assert.Empty(t, page.Problems(), "the console shows")
}

// faultsOfLook lists texts with less contrast than WCAG 2.2 asks for (1.4.3: 4.5, 1.4.11: 3 for the parts of a graph), words on two lines, what
// lies outside of the window, and tables without a caption.
const faultsOfLook = `(() => {
  const faults = [];
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ({ r, g, b }) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.a === 1) return colour;
      if (colour.a > 0) faults.push("half transparent: " + element.className);
    }
    return parse("rgb(255,255,255)");
  };
  let looked = 0;
  const range = document.createRange();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    const element = text.parentElement;
    if (!text.data.trim() || !element.checkVisibility()) continue;
    looked++;
    const ratio = contrast(parse(getComputedStyle(element).color), ground(element));
    if (ratio < 4.5) faults.push("contrast " + ratio.toFixed(2) + " of " + element.className + ": " + text.data.slice(0, 40));
    if (element.closest("code, .hidden, thead")) continue;
    for (const word of text.data.matchAll(/(?<!\S)[A-Za-z]{2,36}(?![^\s.,:])/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size > 1) faults.push("broken word: " + word[0]);
    }
  }
  if (looked < 10) faults.push("only " + looked + " texts");
  const stroke = (selector, kind, other) => {
    const element = document.querySelector(selector);
    if (!element) return;
    const ratio = contrast(parse(getComputedStyle(element)[kind]), other ? parse(getComputedStyle(document.querySelector(other)).fill) : ground(element));
    if (ratio < 3) faults.push("contrast " + ratio.toFixed(2) + " of " + selector);
  };
  stroke(".bar .ready", "fill", ".bar .track");
  stroke(".bar .ready", "fill");
  stroke(".bar .minimum", "stroke"); // a halo of the ground's colour keeps it off the bar
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) {
    for (const element of document.querySelectorAll("main *, header *")) {
      if (element.getBoundingClientRect().right > width + 1) { faults.push("too wide: " + element.outerHTML.slice(0, 80)); break; }
    }
  }
  for (const table of document.querySelectorAll("table")) if (!table.caption) faults.push("no caption: " + table.outerHTML.slice(0, 80));
  return faults;
})()`

// The pictures show what the page draws now: a checksum notes the page from which they were made.
//
// go test ./cmd/cluster-autoscaler/pages -run PicturesOfDocs -update
func TestPicturesOfDocs(t *testing.T) {
	const mostBytes, sumFile = 150_000, "testdata/pictured.sha256"
	report := busy()
	report.Pods = append(report.Pods[:4:4], report.Pods[5:8]...) // few causes, so that the groups are in the picture
	drawn := sha256.New()
	for _, path := range []string{Path, Path + "/style.css", Path + "/app.js"} {
		drawn.Write(get(t, report, path).Body.Bytes())
	}
	sum := fmt.Sprintf("%x\n", drawn.Sum(nil))
	for scheme, name := range map[string]string{"light": "status.png", "dark": "status-dark.png"} {
		path := filepath.Join("..", "..", "..", "docs", name)
		if *update {
			_, server := served(t, testclock.NewFakeClock(now), report)
			page := chromium.Open(t)
			page.Look(1280, scheme)
			page.Go(server.URL + Path)
			page.Await(isLive)
			require.NoError(t, errors.Join(os.WriteFile(path, withPalette(t, page.Picture(0, 1330)), 0o644), os.WriteFile(sumFile, []byte(sum), 0o644)))
		}
		file, err := os.Stat(path)
		assert.Truef(t, err == nil && file.Size() <= mostBytes, "%s is missing or larger than %d bytes: %v", path, mostBytes, err)
	}
	if was, err := os.ReadFile(sumFile); err != nil || string(was) != sum {
		t.Errorf("the page has changed since its pictures were made (%v): go test -tags externalgrpc ./cmd/cluster-autoscaler/pages -run PicturesOfDocs -update", err)
	}
}

// withPalette returns the picture in 256 colours, which makes it several times smaller: the most frequent of each kind of colour.
func withPalette(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	uses := map[color.Color]int{}
	eachPixel := func(do func(x, y int)) {
		for y := full.Bounds().Min.Y; y < full.Bounds().Max.Y; y++ {
			for x := full.Bounds().Min.X; x < full.Bounds().Max.X; x++ {
				do(x, y)
			}
		}
	}
	eachPixel(func(x, y int) { uses[full.At(x, y)]++ })
	byUse := slices.SortedFunc(maps.Keys(uses), func(a, b color.Color) int { return cmp.Compare(uses[b], uses[a]) })
	palette := color.Palette(byUse[:min(len(byUse), 64)])
	kinds := map[[3]uint32]bool{}
	for _, c := range byUse[len(palette):] {
		r, g, b, _ := c.RGBA()
		if kind := [3]uint32{r >> 12, g >> 12, b >> 12}; !kinds[kind] && len(palette) < 256 {
			kinds[kind] = true
			palette = append(palette, c)
		}
	}
	index := map[color.Color]uint8{}
	small := image.NewPaletted(full.Bounds(), palette)
	eachPixel(func(x, y int) {
		c := full.At(x, y)
		i, known := index[c]
		if !known {
			i = uint8(palette.Index(c))
			index[c] = i
		}
		small.SetColorIndex(x, y, i)
	})
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	return out.Bytes()
}

// Every link and everything that folds can be reached by the Tab key alone, in the order of the page, and shows where the focus is.
func TestPageWorksByKeyboard(t *testing.T) {
	page := chromium.Open(t)
	_, server := served(t, testclock.NewFakeClock(now), busy())
	for _, width := range []int{1280, 390} {
		page.Look(width, "light")
		page.Go(server.URL + Path)
		page.Await(isLive)
		page.Eval(openAll, nil) // what is folded holds things to reach, too
		const describe = `(e) => e.tagName + " " + (e.closest("[data-key], section")?.dataset.key ?? "") + " " + e.textContent`
		var want, got, unseen []string
		page.Eval(`[...document.querySelectorAll("a[href], summary")].map(`+describe+`)`, &want)
		for range want {
			page.Press("Tab")
			var focus struct {
				Name    string
				Visible bool
			}
			page.Eval(`((e) => ({Name: (`+describe+`)(e), Visible: getComputedStyle(e).outlineStyle === "solid" && parseFloat(getComputedStyle(e).outlineWidth) >= 2 &&
				e.getBoundingClientRect().top >= 0 && e.getBoundingClientRect().bottom <= innerHeight}))(document.activeElement)`, &focus)
			got = append(got, focus.Name)
			if !focus.Visible {
				unseen = append(unseen, focus.Name)
			}
		}
		diff := gocmp.Diff(want, got)
		assert.Truef(t, diff == "" && len(want) >= 15, "at %d px the Tab key reaches (-want +got):\n%s", width, diff)
		assert.Emptyf(t, unseen, "at %d px the focus does not show on", width)
	}

	page.Go(server.URL + Path)
	page.Press("Tab")
	page.Press("Enter")
	page.Await(`document.activeElement.id === "content"`)
	page.Eval(`document.querySelector("#pods summary").focus()`, nil)
	page.Press("Enter")
	page.Await(`document.querySelector("#pods details").open`)
	page.Press(" ")
	page.Await(`!document.querySelector("#pods details").open`)
}

// The report changes while somebody reads: the page follows, and leaves the reader where he is.
func TestPageFollowsReport(t *testing.T) {
	page := chromium.Open(t)
	s, server := served(t, clock.RealClock{}, busy())
	page.Look(390, "light")
	page.Go(server.URL + Path)
	page.Await(isLive)
	page.Eval(`window.loaded = true`, nil)
	const folded = `document.querySelector("#pods article:last-of-type details")`
	page.Eval(`window.folded = `+folded+`; folded.firstElementChild.focus(); folded.scrollIntoView(); scrollBy(0, -100)`, nil)
	page.Press("Enter")
	page.Await(`folded.open`)
	page.Eval(`window.getSelection().selectAllChildren(folded.querySelector("bdi"))`, nil)
	var before struct {
		Top      float64
		Selected string
	}
	const look = `({Top: folded.getBoundingClientRect().top, Selected: String(getSelection())})`
	page.Eval(look, &before)

	next := busy()
	next.Pods[4].Cause.Message = "no group has a node with 8 nvidia.com/gpu, the most is 2"                 // the same cause with another figure
	next.Pods = append(next.Pods[1:4:4], next.Pods[4:]...)                                                  // one pod less of the first cause
	next.Pods = append(next.Pods, decision.Pod{Namespace: "new", Name: "comer", UID: "new", Since: next.At, // a cause above the reader
		State: decision.PodHelpless, Search: -1, Cause: decision.Reason{Code: decision.CodeVolume, Message: "claim data-0 is not bound"}})
	next.Groups = append(next.Groups[:2:2], next.Groups[3:]...)
	s.Store(next)
	page.Await(`document.querySelector("h1").textContent.startsWith("3 pods wait") && document.body.textContent.includes("claim data-0 is not bound")`)
	page.Await(`!document.querySelector("#groups").textContent.includes("dsp-8c64g-kmax-medium")`)
	var after struct {
		Top      float64
		Selected string
	}
	page.Eval(look, &after)
	var kept map[string]bool
	page.Eval(`({loaded: window.loaded === true, "same element": folded === `+folded+`, open: folded.open, focus: document.activeElement === folded.firstElementChild,
		"title": document.title.startsWith("10 pods waiting")})`, &kept)
	for what, holds := range kept {
		assert.Truef(t, holds, "not kept: %s", what)
	}
	d := after.Top - before.Top
	assert.Truef(t, d >= -2 && d <= 2, "the text under the reader's eyes moved by %v px", d)
	assert.Truef(t, before.Selected != "" && after.Selected == before.Selected, "selected %q, before %q", after.Selected, before.Selected)

	s.Store(quiet())
	page.Await(`document.querySelector("h1").textContent === "All is well, no pod waits" && document.activeElement.id === "pods"`)
	assert.Empty(t, page.Problems(), "the console shows")
}

// A shadow knows that it is one only once it leads.
func TestPageOfAShadowFollows(t *testing.T) {
	page := chromium.Open(t)
	clock := testclock.NewFakeClock(now)
	shown, server := served(t, clock, &decision.Report{})
	page.Go(server.URL + Path)
	page.Await(isLive)
	leads := busy()
	leads.Shadow = &decision.Shadow{Waiting: 1}
	shown.Store(leads)
	clock.Step(2 * renderInterval)
	page.Eval(`follow()`, nil)
	page.Await(`document.getElementById("shadow")?.checkVisibility()`)
	page.Await(isLive)
}

func TestPageComesBack(t *testing.T) {
	page := chromium.Open(t)
	handler := NewPage(busy, clock.RealClock{})
	var away atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	page.Look(1280, "light")
	page.Go(server.URL + Path)
	page.Await(isLive)
	away.Store(true)
	page.Await(`document.getElementById("live").textContent === "Not live, trying again"`)
	away.Store(false)
	page.Await(isLive)
}

// The API server serves the page under a prefix, and rewrites addresses in HTML. This is its own handler.
func TestPageBehindAPIServer(t *testing.T) {
	const prefix = "/api/v1/namespaces/kube-system/pods/cluster-autoscaler-0:8085/proxy"
	page := chromium.Open(t)
	s, server := served(t, clock.RealClock{}, busy())
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		location, err := url.Parse(server.URL + strings.TrimPrefix(r.URL.Path, prefix))
		if err != nil || !strings.HasPrefix(r.URL.Path, prefix) {
			http.NotFound(w, r)
			return
		}
		proxy.NewUpgradeAwareHandler(location, http.DefaultTransport, true, false, failures{t}).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	page.Look(1280, "dark")
	page.Go(front.URL + prefix + Path)
	page.Await(isLive)
	s.Store(quiet())
	page.Await(`document.querySelector("h1").textContent.startsWith("All is well")`)
	var ground, link string
	page.Eval(`getComputedStyle(document.body).backgroundColor`, &ground)
	page.Eval(`document.querySelector("footer a").href`, &link)
	assert.Truef(t, ground == "rgb(18, 21, 24)" && link == front.URL+prefix+"/status.json", "ground %s, link to %s", ground, link)
	assert.Empty(t, page.Problems(), "the console shows")
}

// failures fails the test for each request that the proxy cannot pass on, except those that a client ended.
type failures struct{ t *testing.T }

func (f failures) Error(_ http.ResponseWriter, r *http.Request, err error) {
	assert.Truef(f.t, r.Context().Err() != nil, "%s: %v", r.URL, err)
}

func TestAges(t *testing.T) {
	page := chromium.Open(t)
	_, server := served(t, testclock.NewFakeClock(now), busy())
	page.Go(server.URL + Path)
	page.Await(isLive)
	for passed, want := range map[time.Duration]string{
		0: "0 s ago", 59 * time.Second: "59 s ago", 60 * time.Second: "1 min ago", 59*time.Minute + 59*time.Second: "59 min ago", time.Hour: "1 h ago",
		3*time.Hour + 10*time.Minute: "3 h 10 min ago", 48 * time.Hour: "2 d ago", 50*time.Hour + time.Minute: "2 d 2 h ago", -90 * time.Second: "in 1 min",
	} {
		var got string
		page.Eval(fmt.Sprintf("moment(0, %d)", passed.Milliseconds()), &got)
		assert.Equalf(t, want, got, "%v", passed)
	}
}
