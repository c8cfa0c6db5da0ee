package userdata

import (
	"cmp"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// document reads one document: the whole of user data, a part of it, or a file that it writes. contentType is the declared type
// of a MIME part, or "". If it does not help, the text decides, as with cloud-init.
func (r *reader) document(text, contentType string, nesting int) {
	if !r.enter(nesting, 0) {
		return
	}
	if contentType == nodeConfigType { // nodeadm decodes it, whatever the header says
		text = cmp.Or(decodeBase64(text), text)
	}
	if text, ok := r.inflate(text); ok && r.spend(len(text)) {
		text = clean(text)
		if strings.HasPrefix(text, "## template: jinja") && r.spend(6*len(text)) {
			text = jinja.ReplaceAllLiteralString(text, unresolved(""))
		}
		r.dispatch(text, contentType, nesting)
	}
}

// jinja matches an expression that cloud-init replaces by a fact of the instance.
var jinja = regexp.MustCompile(`{{[^{}]*}}`)

// enter spends the work of a text of n bytes within other texts, and reports whether it may be read.
func (r *reader) enter(nesting, n int) bool {
	if nesting > maxNesting {
		r.unreadable("", "fewer documents within documents")
		return false
	}
	return r.spend(documentWork + n)
}

func (r *reader) dispatch(text, contentType string, nesting int) {
	switch kind := kind(text, contentType); kind {
	case "mime":
		r.entity(strings.TrimLeft(text, " \t\n"), nesting)
	case "cloud-config":
		r.cloudConfig(text, nesting)
	case "node-config":
		r.readNodeConfigs(text, false)
	case "script":
		r.script(text, nesting)
	case "powershell":
		r.powerShell(text)
	case "toml":
		r.bottlerocket(text)
	default:
		r.others = append(r.others, text)
		r.unmarked = r.unmarked || kind == "unmarked"
	}
}

// file reads a file that user data writes. It needs no first line: a script may source it, or a systemd unit takes its environment from it.
func (r *reader) file(text string, nesting int) {
	if !r.enter(nesting, len(text)) {
		return
	}
	switch kind := kind(text, ""); {
	case kind == "" && kubeletKind.MatchString(text):
		r.kubeletConfig(text)
	case kind == "":
		r.runScript(r.quoted(text), nesting)
	case kind == "unmarked" || kind == "toml":
		r.runScript(text, nesting)
	case kind == "node-config":
		r.readNodeConfigs(text, true)
	default:
		r.dispatch(text, "", nesting)
	}
}

// environmentLine matches a line that gives kubelet arguments without quotes, and has nothing that only a shell understands. A
// backslash continues it.
var environmentLine = regexp.MustCompile("(?ms)^[ \t]*(?:" + strings.Join(kubeletVariables, "|") + ")=[ \t]*-(?:[^\\\\\n$`;&|]|\\\\.)*$")

// quoted sets quotes around the arguments of kubelet in a file. Of the environment of a systemd unit, such as /etc/default/kubelet,
// systemd takes the rest of the line for the value, where a shell takes one word.
func (r *reader) quoted(text string) string {
	if !r.spend(4 * len(text)) {
		return ""
	}
	return environmentLine.ReplaceAllStringFunc(text, func(line string) string {
		name, value, _ := strings.Cut(line, "=")
		return name + "=" + shellword.Quote(strings.TrimSpace(value))
	})
}

// entity reads a MIME message, or a part of one, and its parts in their order. mime/multipart refuses what EKS generates: parts
// whose header is followed by the script without an empty line.
func (r *reader) entity(text string, nesting int) {
	if !r.enter(nesting, len(text)) {
		return
	}
	header, body := splitHeader(strings.TrimPrefix(text, "\n"))
	mediaType, params, _ := mime.ParseMediaType(header["content-type"])
	body, ok := r.transferDecode(body, header["content-transfer-encoding"])
	switch {
	case !ok:
	case !strings.HasPrefix(mediaType, "multipart/"):
		r.document(body, mediaType, nesting+1)
	case params["boundary"] == "":
		r.unreadable("MIME", "a boundary in the Content-Type")
	default:
		for _, part := range splitParts(body, "--"+params["boundary"]) {
			r.entity(part, nesting+1)
		}
	}
}

// maxHeaderBytes is far more than the media type and a boundary of 70 characters take (RFC 2046, 5.1.1).
const maxHeaderBytes = 1 << 10

// splitHeader splits the header lines from a MIME entity. Keys are in lower case. The first line that cannot be a header begins
// the body. The rest of a header longer than maxHeaderBytes is left out.
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
			if len(header[last]) < maxHeaderBytes {
				header[last] += " " + strings.TrimSpace(line)
			}
		case colon && !strings.ContainsAny(key, " \t#/<"):
			last = strings.ToLower(key)
			header[last] = strings.TrimSpace(value[:min(len(value), maxHeaderBytes)])
		default:
			return header, text
		}
		text = rest
	}
	return header, ""
}

func splitParts(body, delimiter string) []string {
	var parts []string
	start, at := -1, 0
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(strings.TrimRight(line, " \t\n"), delimiter)
		if ok && (rest == "" || rest == "--") {
			if start >= 0 {
				parts = append(parts, body[start:at])
			}
			if start = at + len(line); rest != "" {
				return parts
			}
		}
		at += len(line)
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}

func (r *reader) transferDecode(body, encoding string) (string, bool) {
	switch strings.ToLower(encoding) {
	case "base64":
		decoded := decodeBase64(body)
		if decoded == "" {
			r.unreadable("MIME", "base64 as the Content-Transfer-Encoding says")
		}
		return decoded, decoded != ""
	case "quoted-printable":
		if !r.spend(4 * len(body)) {
			return "", false
		}
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
		if err != nil && len(b) == 0 {
			r.unreadable("MIME", "quoted-printable as the Content-Transfer-Encoding says")
			return "", false
		}
		return string(b), true
	}
	return body, true
}
