package userdata

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
)

// decodeBase64 decodes standard base64 with or without padding and line breaks. It returns "" for any other text.
func decodeBase64(s string) string {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.Join(strings.Fields(s), ""), "="))
	if err != nil {
		return ""
	}
	return string(b)
}

// inflate unpacks gzip, however often it was packed, within the budget. Other text it returns unchanged.
func (r *reader) inflate(s string) (string, bool) {
	for range maxNesting {
		if !strings.HasPrefix(s, "\x1f\x8b") {
			return s, true
		}
		if !r.spend(gzipWork + packedWork*len(s)) {
			return "", false
		}
		z, err := gzip.NewReader(strings.NewReader(s))
		if err != nil {
			break
		}
		var b strings.Builder
		n, err := io.Copy(&b, io.LimitReader(z, int64(min(maxInflatedBytes, r.work)+1)))
		if !r.spend(b.Len()) { // even if unpacking failed
			return "", false
		}
		if err != nil && n == 0 {
			break
		}
		if n > maxInflatedBytes {
			r.unreadable("gzip", "256 KiB at most when unpacked")
			return "", false
		}
		s = b.String()
	}
	r.unreadable("gzip", "data that gzip can unpack")
	return "", false
}
