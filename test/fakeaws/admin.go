package fakeaws

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"sigs.k8s.io/yaml"
)

// routes puts the admin interface beside AWS. Bodies are JSON or YAML:
//
//	GET    /_fakeaws/state                      groups with their instances
//	GET    /_fakeaws/calls[?log]                counts by action, or the single calls, DELETE resets
//	GET    /_fakeaws/events[?from=N][&follow]   events as a list, or as one JSON document a line while they happen
//	GET    /_fakeaws/faults                     POST a Fault, DELETE all, or ?id=ID
//	GET    /_fakeaws/shortages                  POST a Shortage, DELETE all, or ?id=ID
//	POST   /_fakeaws/lacks                      a Lacks of the Config
//	POST   /_fakeaws/policies                   a list of IAM policy documents, as texts
//	GET    /_fakeaws/denials                    actions and resources that they denied
//	POST   /_fakeaws/deeds                      a Deed of the Config
//	POST   /_fakeaws/stale-reads                a StaleReads: a duration, or {"most": "3s", "worst": true}
//	POST   /_fakeaws/strict                     true or false
//	GET    /_fakeaws/throttles                  POST a list of Throttles, which replaces the one in force
//	POST   /_fakeaws/groups                     an AutoScalingGroup of the Config
//	POST   /_fakeaws/groups/{name}              a GroupEdit
//	DELETE /_fakeaws/groups/{name}
//	POST   /_fakeaws/groups/{name}/desired      a number
//	POST   /_fakeaws/groups/{name}/limits       {"min": 0, "max": 5}
//	POST   /_fakeaws/groups/{name}/tags         {"key": "value", "deleted": null}
//	POST   /_fakeaws/groups/{name}/node         a NodeConfig
//	POST   /_fakeaws/launch-templates           a LaunchTemplate of the Config
//	DELETE /_fakeaws/launch-templates/{name}    by name or ID
//	POST   /_fakeaws/instances/{id}/reclaim
//	POST   /_fakeaws/instances/{id}/interrupt   {"notice": "40s"}, or another Deed that announces something
//	GET    /_fakeaws/queues                     POST a Queue of the Config, to change it
//	POST   /_fakeaws/queues/{name}/messages     {"body": "…", "times": 1}
//	POST   /_fakeaws/nodes/{name}/resources     {"nvidia.com/gpu": "0"}
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.serveAWS)
	get := func(path string, value func(*http.Request) any) {
		mux.HandleFunc("GET /_fakeaws/"+path, func(w http.ResponseWriter, r *http.Request) { writeJSON(w, http.StatusOK, value(r)) })
	}
	get("state", func(*http.Request) any { return s.Groups() })
	get("faults", func(*http.Request) any { return s.Faults() })
	get("queues", func(*http.Request) any { return s.Queues() })
	get("denials", func(*http.Request) any { return s.Denials() })
	get("throttles", func(*http.Request) any { return s.Throttles() })
	get("shortages", func(*http.Request) any { return s.Shortages() })
	get("calls", func(r *http.Request) any {
		if r.URL.Query().Has("log") {
			return s.CallLog()
		}
		return s.Calls()
	})
	mux.HandleFunc("GET /_fakeaws/events", s.serveEvents)
	do := func(pattern string, act func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			value, err := act(r)
			if err != nil {
				writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, value)
		})
	}
	do("DELETE /_fakeaws/calls", func(*http.Request) (any, error) { s.ResetCalls(); return nil, nil })
	do("DELETE /_fakeaws/faults", func(r *http.Request) (any, error) { s.ClearFaults(r.URL.Query()["id"]...); return nil, nil })
	do("DELETE /_fakeaws/shortages", func(r *http.Request) (any, error) { s.ClearShortages(r.URL.Query()["id"]...); return nil, nil })
	s.editRoutes(do)
	return s.tracked(mux)
}

func (s *Server) editRoutes(do func(pattern string, act func(*http.Request) (any, error))) {
	do("POST /_fakeaws/faults", body(func(_ *http.Request, f Fault) (any, error) { return s.Inject(f), nil }))
	do("POST /_fakeaws/shortages", body(func(_ *http.Request, sh Shortage) (any, error) { return s.AddShortage(sh), nil }))
	do("POST /_fakeaws/deeds", body(func(_ *http.Request, d Deed) (any, error) { return nil, s.Do(d) }))
	do("POST /_fakeaws/stale-reads", body(func(_ *http.Request, r StaleReads) (any, error) { s.SetStale(r); return nil, nil }))
	do("POST /_fakeaws/strict", body(func(_ *http.Request, strict bool) (any, error) { s.SetStrict(strict); return nil, nil }))
	do("POST /_fakeaws/throttles", body(func(_ *http.Request, t []Throttle) (any, error) { return nil, s.SetThrottles(t...) }))
	do("POST /_fakeaws/lacks", body(func(_ *http.Request, l Lacks) (any, error) { s.SetLacks(l); return nil, nil }))
	do("POST /_fakeaws/policies", body(func(_ *http.Request, p []string) (any, error) { return nil, s.SetPolicies(p...) }))
	do("POST /_fakeaws/groups", body(func(_ *http.Request, g AutoScalingGroup) (any, error) { return nil, s.AddGroup(g) }))
	do("POST /_fakeaws/groups/{name}", body(func(r *http.Request, e GroupEdit) (any, error) {
		return nil, s.EditGroup(r.PathValue("name"), e)
	}))
	do("DELETE /_fakeaws/groups/{name}", func(r *http.Request) (any, error) { return nil, s.DeleteGroup(r.PathValue("name")) })
	do("POST /_fakeaws/groups/{name}/desired", body(func(r *http.Request, n int) (any, error) {
		return nil, s.SetDesired(r.PathValue("name"), n)
	}))
	do("POST /_fakeaws/groups/{name}/limits", body(func(r *http.Request, l struct{ Min, Max int }) (any, error) {
		return nil, s.SetLimits(r.PathValue("name"), l.Min, l.Max)
	}))
	do("POST /_fakeaws/groups/{name}/tags", body(func(r *http.Request, tags map[string]*string) (any, error) {
		return nil, s.SetTags(r.PathValue("name"), tags)
	}))
	do("POST /_fakeaws/groups/{name}/node", body(func(r *http.Request, cfg NodeConfig) (any, error) {
		return nil, s.SetNodeConfig(r.PathValue("name"), cfg)
	}))
	do("POST /_fakeaws/launch-templates", body(func(_ *http.Request, t LaunchTemplate) (any, error) { return nil, s.PutLaunchTemplate(t) }))
	do("DELETE /_fakeaws/launch-templates/{name}", func(r *http.Request) (any, error) {
		return nil, s.DeleteLaunchTemplate(r.PathValue("name"))
	})
	do("POST /_fakeaws/spot-prices", body(func(_ *http.Request, p SpotPrice) (any, error) { s.SetSpotPrice(p); return nil, nil }))
	do("POST /_fakeaws/queues", body(func(_ *http.Request, q Queue) (any, error) { return nil, s.SetQueue(q) }))
	do("POST /_fakeaws/queues/{name}/messages", body(func(r *http.Request, m struct {
		Body  string
		Times int
	}) (any, error) {
		var err error
		for range max(1, m.Times) {
			err = errors.Join(err, s.SendMessage(r.PathValue("name"), m.Body))
		}
		return nil, err
	}))
	do("POST /_fakeaws/instances/{id}/interrupt", body(func(r *http.Request, d Deed) (any, error) {
		return nil, s.Announce(r.PathValue("id"), d)
	}))
	do("POST /_fakeaws/instances/{id}/reclaim", func(r *http.Request) (any, error) { return nil, s.Reclaim(r.PathValue("id")) })
	do("POST /_fakeaws/nodes/{name}/resources", body(func(r *http.Request, resources map[string]string) (any, error) {
		return nil, s.SetNodeResources(r.Context(), r.PathValue("name"), resources)
	}))
}

// body decodes a request's body before act.
func body[T any](act func(*http.Request, T) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		data, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		var value T
		if err := yaml.UnmarshalStrict(data, &value); err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		return act(r, value)
	}
}

// tracked makes Close wait for requests under way.
func (s *Server) tracked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.workers.Add(1)
		}
		s.mu.Unlock()
		if closed {
			panic(http.ErrAbortHandler)
		}
		defer s.workers.Done()
		next.ServeHTTP(w, r)
	})
}

// serveEvents lists events, or follows them until the client leaves.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(first(r.URL.Query().Get("from"), "0"))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "from: " + err.Error()})
		return
	}
	if !r.URL.Query().Has("follow") {
		events, _ := s.events.since(from)
		writeJSON(w, http.StatusOK, append([]Event{}, events...))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder, flush := json.NewEncoder(w), http.NewResponseController(w)
	_ = flush.Flush()
	for e := range s.Subscribe(r.Context(), from) {
		if encoder.Encode(e) != nil || flush.Flush() != nil {
			return
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	if value == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}
