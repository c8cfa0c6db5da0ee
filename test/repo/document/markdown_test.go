package document

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	got, err := Parse("d.md", "text\n```sh\na\n```\n- item\n\n  ```yaml\n  b:\n    c\n  ```\n")
	require.NoError(t, err)
	assert.Equal(t, []Block{{"d.md", 3, "sh", "a\n"}, {"d.md", 8, "yaml", "b:\n  c\n"}}, got.Blocks)
	assert.Equal(t, "text\n\n- item\n\n\n", got.Prose)
	_, err = Parse("d.md", "```sh\na\n")
	assert.Error(t, err, "an open fence has no error")
}
