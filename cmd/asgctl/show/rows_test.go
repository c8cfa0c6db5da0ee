package show

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestColumnsAreTheFieldsOfRows(t *testing.T) {
	type sizes struct{ Min, InService int }
	type row struct {
		Name string `json:"name" table:"GROUP"`
		Zone string `json:"zone" table:"-"`
		sizes
		Price    float64
		Problems Count
		Share    Percent
		Exact    bool `table:"STANDING,exact|estimate"`
		Metal    bool `table:",yes"`

		note string
	}
	rows := []row{{"web", "us-east-1a", sizes{1, 3}, 1.5, 2, 1, true, true, "n"}, {Name: "gpu", Price: 0.00001, Share: 1.5}}
	const want = "GROUP   MIN   IN-SERVICE   PRICE     PROBLEMS   SHARE   STANDING   METAL\n" +
		"web     1     3            1.5       2          1%      exact      yes\n" +
		"gpu     0     0            0.00001   -          1.5%    estimate   -\n"
	got := Rows(rows)
	assert.Truef(t, got == want, "table:\n%swant:\n%s", got, want)
	assert.Equal(t, "", below([]row{}), "a table without rows that stands below another, want none")
}
