package userdata

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
)

// document reads one document: the whole of user data, a part of it, or a file that it writes. contentType is the declared type
// of a MIME part, or "". If it does not help, the text decides, as with cloud-init.
func (r *reader) document(text, contentType string, nesting int) {
	if !r.enter(nesting, 0) {
		return
	}
	if text, ok := r.inflate(text); ok && r.spend(len(text)) {
		r.dispatch(clean(text), contentType, nesting)
	}
}

// enter spends the work of a text of n bytes within other texts, and reports whether it may be read.
func (r *reader) enter(nesting, n int) bool {
	if nesting > maxNesting {
		r.unreadable("", "fewer documents within documents")
		return false
	}
	return r.spend(documentWork + n)
}

// dispatch reads clean text by its kind.
func (r *reader) dispatch(text, contentType string, nesting int) {
	switch kind := kind(text, contentType); kind {
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
	default:
		r.others = append(r.others, text)
		r.unmarked = r.unmarked || kind == "unmarked"
	}
}

// file reads a file that user data writes on the node. It needs no first line, for a script may source it, or it is the
// environment of a systemd unit.
func (r *reader) file(text string, nesting int) {
	if !r.enter(nesting, len(text)) {
		return
	}
	switch kind := kind(text, ""); {
	case kind == "" && isKubeletConfig(text):
		r.kubeletConfig(text)
	case kind == "" || kind == "unmarked" || kind == "toml":
		r.runScript(text, nesting)
	default:
		r.dispatch(text, "", nesting)
	}
}

// multipart reads a MIME message and its parts in their order. mime/multipart refuses what EKS generates: parts whose header is
// followed by the script without an empty line.
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
	if !r.spend(documentWork) {
		return
	}
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

// splitHeader splits the header lines from a MIME entity. Keys are in lower case. The first line that cannot be a header begins
// the body. The rest of a header longer than maxHeaderBytes is left out.
func splitHeader(text string) (header map[string]string, body string) {
	header = map[string]string{}
	last := ""
	var value strings.Builder
	keep := func() {
		if last != "" {
			header[last] = value.String()[:min(value.Len(), maxHeaderBytes)]
		}
		value.Reset()
	}
	defer keep()
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		key, first, colon := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
			return header, rest
		case last != "" && (line[0] == ' ' || line[0] == '\t'):
			if value.Len() < maxHeaderBytes {
				value.WriteString(" " + strings.TrimSpace(line))
			}
		case colon && !strings.ContainsAny(key, " \t#/<"):
			keep()
			last = strings.ToLower(key)
			value.WriteString(strings.TrimSpace(first))
		default:
			return header, text
		}
		text = rest
	}
	return header, ""
}

// maxHeaderBytes is far more than the media type and a boundary of 70 characters take (RFC 2046, 5.1.1).
const maxHeaderBytes = 2 << 10

// splitParts returns the text between lines that begin with the delimiter, up to the closing one.
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
		if rest, ok := strings.CutPrefix(line, delimiter); ok && (rest == "" || rest == "--") {
			if start >= 0 {
				parts = append(parts, body[start:at])
			}
			start = next
			if rest != "" {
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
