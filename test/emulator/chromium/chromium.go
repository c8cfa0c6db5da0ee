package chromium

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answerLimit is how long the browser may take for one answer, on a machine with other work.
const answerLimit = time.Minute

// Page is a tab of a browser that ends with the test.
type Page struct {
	t       testing.TB
	to      io.Writer
	session string
	next    int
	answers chan message

	mutex    sync.Mutex
	problems []string
	ended    error
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// Open starts a browser with one empty page. It skips a test under -short.
func Open(t testing.TB) *Page {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	program, err := exec.LookPath("chromium")
	require.NoError(t, err, "no chromium: install Debian's package chromium (apt-get install --no-install-recommends chromium)")
	profile, err := os.MkdirTemp("", "chromium") // whose last writer may be a process that outlives the browser, so no TempDir of the test
	require.NoError(t, err)
	// Root needs --no-sandbox, and a container's /dev/shm is small. The pipes are the program's files 3 and 4.
	browser := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
		"--no-first-run", "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	browserIn, to, err := os.Pipe()
	require.NoError(t, err)
	from, browserOut, err := os.Pipe()
	require.NoError(t, err)
	browser.ExtraFiles = []*os.File{browserIn, browserOut}
	require.NoError(t, browser.Start())
	_ = browserIn.Close()
	_ = browserOut.Close()
	p := &Page{t: t, to: to, answers: make(chan message, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(from)
	}()
	t.Cleanup(func() {
		_ = to.Close() // the browser ends when its pipe does
		dead := time.AfterFunc(10*time.Second, func() { _ = browser.Process.Kill() })
		_ = browser.Wait()
		dead.Stop()
		_ = from.Close()
		<-read
		_ = os.RemoveAll(profile)
	})
	var target struct{ TargetID string }
	p.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.Call(domain+".enable", nil, nil)
	}
	return p
}

// read takes the browser's messages until its pipe ends: NUL ends each.
func (p *Page) read(from io.Reader) {
	for messages := bufio.NewReader(from); ; {
		text, err := messages.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(text[:len(text)-1], &m)
		}
		if err != nil {
			p.mutex.Lock()
			p.ended = err
			p.mutex.Unlock()
			close(p.answers)
			return
		}
		if m.ID != 0 {
			p.answers <- m
		} else if problem := m.problem(); problem != "" {
			p.mutex.Lock()
			p.problems = append(p.problems, problem)
			p.mutex.Unlock()
		}
	}
}

// problem returns what a user of the developer tools would see in red or yellow, "" for other events.
func (m *message) problem() string {
	switch m.Method {
	case "Runtime.exceptionThrown":
		return "exception: " + string(m.Params)
	case "Runtime.consoleAPICalled":
		if strings.Contains(string(m.Params), `"type":"error"`) || strings.Contains(string(m.Params), `"type":"warning"`) {
			return "console: " + string(m.Params)
		}
	case "Log.entryAdded":
		if !strings.Contains(string(m.Params), `"level":"verbose"`) && !strings.Contains(string(m.Params), `"level":"info"`) {
			return "log: " + string(m.Params)
		}
	}
	return ""
}

// Call calls a method of the DevTools protocol and decodes the result, if that is wanted.
func (p *Page) Call(method string, params map[string]any, result any) {
	p.t.Helper()
	p.next++
	if params == nil {
		params = map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"id": p.next, "method": method, "params": params})
	if p.session != "" {
		text, err = json.Marshal(map[string]any{"id": p.next, "method": method, "params": params, "sessionId": p.session})
	}
	if err == nil {
		_, err = p.to.Write(append(text, 0))
	}
	require.NoErrorf(p.t, err, "chromium: %s", method)
	select {
	case answer, ok := <-p.answers:
		switch {
		case !ok:
			p.t.Fatalf("chromium ended: %v", p.ended)
		case answer.Error != nil:
			p.t.Fatalf("chromium: %s: %s", method, answer.Error.Message)
		case answer.ID != p.next:
			p.t.Fatalf("chromium: %s: answer to call %d, want %d", method, answer.ID, p.next)
		case result != nil:
			if err := json.Unmarshal(answer.Result, result); err != nil {
				p.t.Fatalf("chromium: %s: %v in %s", method, err, answer.Result)
			}
		}
	case <-time.After(answerLimit):
		p.t.Fatalf("chromium: no answer to %s within %v", method, answerLimit)
	}
}

// Look sets the width of the window in CSS pixels and the colour scheme, "light" or "dark".
func (p *Page) Look(width int, scheme string) {
	p.t.Helper()
	p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	p.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Go opens an address and returns when the page is complete.
func (p *Page) Go(url string) {
	p.t.Helper()
	var loaded struct{ ErrorText string }
	p.Call("Page.navigate", map[string]any{"url": url}, &loaded)
	if loaded.ErrorText != "" {
		p.t.Fatalf("chromium: open %s: %s", url, loaded.ErrorText)
	}
	p.Await(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// Eval evaluates an expression of JavaScript and decodes its value, if that is wanted. A promise is awaited.
func (p *Page) Eval(expression string, value any) {
	p.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if out.ExceptionDetails != nil {
		p.t.Fatalf("chromium: %s: %s", expression, out.ExceptionDetails)
	}
	if value != nil {
		if err := json.Unmarshal(out.Result.Value, value); err != nil {
			p.t.Fatalf("chromium: %s: %v in %s", expression, err, out.Result.Value)
		}
	}
}

// Await returns once the expression is true.
func (p *Page) Await(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(answerLimit); ; time.Sleep(20 * time.Millisecond) {
		var holds bool
		p.Eval("Boolean("+expression+")", &holds)
		if holds {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("chromium: still not true: %s\nproblems: %q", expression, p.Problems())
		}
	}
}

// Press presses and releases a key, such as Tab or Enter.
func (p *Page) Press(key string) {
	p.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13, " ": 32}[key]
	down := map[string]any{"type": "keyDown", "key": key, "code": strings.Replace(key, " ", "Space", 1), "windowsVirtualKeyCode": code}
	switch key {
	case "Enter":
		down["text"] = "\r"
	case " ":
		down["text"] = " "
	}
	p.Call("Input.dispatchKeyEvent", down, nil)
	p.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": down["code"], "windowsVirtualKeyCode": code}, nil)
}

// Picture returns a part of the page as PNG: at most height CSS pixels from top on. It returns nil below the end of the page.
func (p *Page) Picture(top, height int) []byte {
	p.t.Helper()
	var size struct{ Width, Height int }
	p.Eval(`({Width: document.documentElement.clientWidth, Height: Math.ceil(document.documentElement.scrollHeight)})`, &size)
	if height = min(height, size.Height-top); height <= 0 {
		return nil
	}
	var shot struct{ Data string }
	p.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": top, "width": size.Width, "height": height, "scale": 1}}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(fmt.Errorf("chromium: picture: %w", err))
	}
	return picture
}

// Problems returns the errors and warnings of the console so far, and refused requests among them.
func (p *Page) Problems() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]string(nil), p.problems...)
}
