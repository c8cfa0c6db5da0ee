package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
)

// offer is an offer of both Chinese regions, and of a Local Zone of another.
func offer() []byte {
	free := fakeoffer.Ningxia.Sells("x9.large", 0)
	o := fakeoffer.Offer{Products: slices.Values(slices.Concat(
		fakeoffer.Beijing.Sells("m5.large", 1.25), fakeoffer.Ningxia.Sells("m5.large", 1), fakeoffer.Ningxia.Sells("m5.metal", 16), free,
		fakeoffer.Boston.Sells("m5.large", 0.12), fakeoffer.Virginia.Sells("m5.large", 0.096)))}
	var b bytes.Buffer
	if err := o.WriteJSON(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func packed(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

func writeOffer(ts *testscript.TestScript, _ bool, args []string) {
	text := offer()
	if strings.HasSuffix(args[0], ".gz") {
		text = packed(text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
}

// halves are closed when half an offer was sent, by script.
var halves sync.Map // from *testscript.TestScript to chan struct{}

// serveOffers starts a server and sets OFFERS to its address. Under /short/ it promises more than it sends, under /slow/ it
// sends half and then nothing, under /packed/ it compresses.
func serveOffers(ts *testscript.TestScript, _ bool, _ []string) {
	half, over := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := offer()
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		switch folder, _, _ := strings.Cut(r.URL.Path[1:], "/"); folder {
		case "whole":
			_, _ = w.Write(text)
		case "packed":
			text = packed(text)
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			_, _ = w.Write(text)
		case "short":
			_, _ = w.Write(text[:len(text)-100])
		case "slow":
			_, _ = w.Write(text[:len(text)/2])
			_ = http.NewResponseController(w).Flush()
			half <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-over:
			}
		default:
			w.Header().Del("Content-Length")
			http.NotFound(w, r)
		}
	}))
	ts.Defer(func() {
		close(over)
		server.Close()
	})
	ts.Setenv("OFFERS", server.URL)
	halves.Store(ts, half)
}

func asked(ts *testscript.TestScript, _ bool, _ []string) {
	half, _ := halves.Load(ts)
	select {
	case <-half.(chan struct{}):
	case <-time.After(time.Minute):
		ts.Fatalf("nobody asked for an offer")
	}
}
