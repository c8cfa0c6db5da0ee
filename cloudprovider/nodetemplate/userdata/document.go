package userdata

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// document reads one document: the whole of user data, a part of it, or a file that it writes. contentType is what a
// MIME part is declared as, "" if nothing is; the text tells where that is no help, as with cloud-init.
func (r *reader) document(text, contentType string, nesting int) {
	if nesting > maxNesting {
		r.unreadable("", "fewer documents within documents")
		return
	}
	text, ok := r.inflate(text)
	if !ok || !r.spend(len(text)) {
		return
	}
	r.dispatch(clean(text), contentType, nesting)
}

// dispatch reads clean text as what it is.
func (r *reader) dispatch(text, contentType string, nesting int) {
	switch r.kind(text, contentType) {
	case "mime":
		r.multipart(text, nesting)
	case "cloud-config":
		r.cloudConfig(text, nesting)
	case "node-config":
		r.nodeConfigs(text)
	case "script":
		r.script(text, nesting)
	case "powershell":
		r.powerShell(text)
	case "toml":
		r.bottlerocket(text)
	case "unmarked":
		r.unreadable("", "a first line such as #!/bin/bash, without which the node does not run it")
	}
}

var (
	mimeHeader     = regexp.MustCompile(`(?i)^\s*(mime-version|content-type)[ \t]*:`)
	shellLine      = regexp.MustCompile(`^#![ \t]*\S*?/?(?:env[ \t]+(?:-S[ \t]+)?)?(?:\S*/)?(?:ba|da|z|k|a)?sh\b`)
	powerShellTag  = regexp.MustCompile(`(?i)<powershell>`)
	nodeConfigLine = regexp.MustCompile(`(?m)(?:^|[{,])[ \t"]*apiVersion"?:[ \t]*["']?node\.eks\.aws/`)
	rocketLine     = regexp.MustCompile(`(?m)^[ \t]*(\[+[ \t]*"?settings"?[ \t]*[].]|settings[ \t]*[.=])`)
	kubeletKind    = regexp.MustCompile(`(?m)["' \t]*kind["']?:[ \t]*["']?KubeletConfiguration\b`)
)

// kind tells what a document is, "" if nothing that is read here.
func (r *reader) kind(text, contentType string) string {
	switch contentType {
	case "application/node.eks.aws":
		return "node-config"
	case "text/x-shellscript", "text/cloud-boothook", "text/x-shellscript-per-boot", "text/x-shellscript-per-instance",
		"text/x-shellscript-per-once":
		if strings.HasPrefix(text, "#!") && !shellLine.MatchString(text) {
			return ""
		}
		return "script"
	case "text/cloud-config", "text/jinja2":
		return "cloud-config"
	}
	text = strings.TrimLeft(text, " \t\n")
	if rest, ok := strings.CutPrefix(text, "## template:"); ok {
		_, text, _ = strings.Cut(rest, "\n")
	}
	switch {
	case mimeHeader.MatchString(text):
		return "mime"
	case strings.HasPrefix(text, "#cloud-config"):
		return "cloud-config"
	case strings.HasPrefix(text, "#cloud-boothook"), shellLine.MatchString(text):
		return "script"
	case strings.HasPrefix(text, "#!"):
		return ""
	case powerShellTag.MatchString(text):
		return "powershell"
	case nodeConfigLine.MatchString(text):
		return "node-config"
	case rocketLine.MatchString(text), r.family == nodetemplate.Bottlerocket:
		return "toml"
	case strings.Contains(text, "eks/bootstrap.sh"):
		return "unmarked"
	}
	return ""
}

// file reads what user data writes to a file on the node. A file needs no first line to be of use: it may be sourced,
// or the environment of a systemd unit.
func (r *reader) file(text string, nesting int) {
	if nesting > maxNesting {
		r.unreadable("", "fewer documents within documents")
		return
	}
	switch kind := r.kind(text, ""); {
	case kind == "" && kubeletKind.MatchString(text):
		r.kubeletConfig(text)
	case kind == "" || kind == "unmarked" || kind == "toml":
		r.script(text, nesting)
	default:
		r.dispatch(text, "", nesting)
	}
}

// multipart reads a MIME message and its parts in their order. It is written out here because mime/multipart refuses
// what EKS itself generates: parts whose header is followed by the script without an empty line.
func (r *reader) multipart(text string, nesting int) {
	header, body := splitHeader(strings.TrimLeft(text, " \t\n"))
	mediaType, params, err := mime.ParseMediaType(header["content-type"])
	if err != nil && mediaType == "" {
		r.unreadable("MIME", "a Content-Type that can be parsed")
		return
	}
	body, ok := r.transferDecode(body, header["content-transfer-encoding"])
	if !ok {
		return
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		r.document(body, mediaType, nesting+1)
		return
	}
	if params["boundary"] == "" {
		r.unreadable("MIME", "a boundary in the Content-Type")
		return
	}
	for _, part := range splitParts(body, "--"+params["boundary"]) {
		if r.tooMuch {
			return
		}
		r.part(part, nesting)
	}
}

// part reads one part of a MIME message.
func (r *reader) part(text string, nesting int) {
	header, body := splitHeader(strings.TrimPrefix(text, "\n"))
	mediaType, _, _ := mime.ParseMediaType(header["content-type"])
	if strings.HasPrefix(mediaType, "multipart/") {
		if nesting >= maxNesting || !r.spend(len(text)) {
			r.unreadable("MIME", "fewer parts within parts")
			return
		}
		r.multipart(strings.TrimPrefix(text, "\n"), nesting+1)
		return
	}
	if body, ok := r.transferDecode(body, header["content-transfer-encoding"]); ok {
		r.document(body, mediaType, nesting+1)
	}
}

// splitHeader takes the header lines from the front of a MIME entity. Keys are in lower case. The first line that can be
// no header begins the body.
func splitHeader(text string) (header map[string]string, body string) {
	header = map[string]string{}
	last := ""
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		key, value, colon := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
			return header, rest
		case last != "" && (line[0] == ' ' || line[0] == '\t'):
			header[last] += " " + strings.TrimSpace(line)
		case colon && !strings.ContainsAny(key, " \t#/<"):
			last = strings.ToLower(key)
			header[last] = strings.TrimSpace(value)
		default:
			return header, text
		}
		text = rest
	}
	return header, ""
}

// splitParts returns what stands between the lines that begin with the delimiter, up to the closing one.
func splitParts(body, delimiter string) []string {
	var parts []string
	start := -1
	for at := 0; at < len(body); {
		end := strings.IndexByte(body[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(body)
		}
		line := strings.TrimRight(body[at:next], " \t\n")
		if line == delimiter || line == delimiter+"--" {
			if start >= 0 {
				parts = append(parts, body[start:at])
			}
			start = next
			if line != delimiter {
				return parts
			}
		}
		at = next
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}

// transferDecode undoes the Content-Transfer-Encoding of a MIME entity.
func (r *reader) transferDecode(body, encoding string) (string, bool) {
	switch strings.ToLower(encoding) {
	case "base64":
		decoded, ok := decodeBase64(body)
		if !ok {
			r.unreadable("MIME", "base64 as the Content-Transfer-Encoding says")
		}
		return decoded, ok
	case "quoted-printable":
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
		if err != nil && len(b) == 0 {
			r.unreadable("MIME", "quoted-printable as the Content-Transfer-Encoding says")
			return "", false
		}
		return string(b), true
	}
	return body, true
}
