package covering

import "math"

// entries calls visit with the amount that a variable adds to each constraint.
func (s *solver) entries(v variable, visit func(constraint int, times float64)) {
	switch v.kind {
	case uncovered:
		visit(v.index, 1)
	case surplus:
		visit(v.index, -1)
	case slack:
		visit(s.limited[v.index], 1)
	default:
		c := s.Columns[v.kind]
		for _, e := range c.Entries {
			visit(e.Row, e.Times)
		}
		if i := s.limited[c.Pool]; i >= 0 {
			visit(i, 1)
		}
	}
}

func (s *solver) cost(v variable) float64 {
	switch v.kind {
	case uncovered:
		return s.Penalty
	case surplus, slack:
		return 0
	}
	return s.Columns[v.kind].Cost
}

// step brings a variable into the basis, and reports whether it could.
func (s *solver) step(entering variable) bool {
	n := s.size
	direction := s.work
	clear(direction)
	s.entries(entering, func(constraint int, times float64) {
		for i := range n {
			direction[i] += s.inverse[i*n+constraint] * times
		}
	})
	leaving, ratio := -1, math.Inf(1)
	for i, d := range direction {
		if d <= pivotTolerance {
			continue
		}
		r := max(0, s.amount[i]) / d
		if r < ratio-1e-12 || r < ratio+1e-12 && d > direction[leaving] {
			leaving, ratio = i, r
		}
	}
	if leaving < 0 {
		return false
	}
	s.pivot(leaving, direction, ratio)
	if old := s.basis[leaving]; old.kind >= 0 {
		s.inBasis[old.kind] = false
	}
	if entering.kind >= 0 {
		s.inBasis[entering.kind] = true
	}
	s.basis[leaving] = entering
	return true
}

// pivot updates amounts and inverse for a variable with that direction in the place of the leaving one.
func (s *solver) pivot(leaving int, direction []float64, ratio float64) {
	n := s.size
	pivotRow := s.inverse[leaving*n : leaving*n+n]
	for k := range pivotRow {
		pivotRow[k] /= direction[leaving]
	}
	for i, d := range direction {
		if i == leaving || d == 0 {
			continue
		}
		row := s.inverse[i*n : i*n+n]
		for k, p := range pivotRow {
			if p != 0 {
				row[k] -= d * p
			}
		}
		s.amount[i] -= ratio * d
	}
	s.amount[leaving] = ratio
}

// setPrices computes the prices of the constraints from the costs in the basis.
func (s *solver) setPrices() {
	n := s.size
	clear(s.price)
	for i, v := range s.basis {
		c := s.cost(v)
		if c == 0 {
			continue
		}
		for k, x := range s.inverse[i*n : i*n+n] {
			s.price[k] += c * x
		}
	}
}

// refactor makes inverse and amounts anew from the basis, by elimination with the largest pivot. A basis that turns out
// singular by rounding leaves them as they are.
func (s *solver) refactor() {
	n := s.size
	m := make([]float64, n*2*n) // the basis matrix with the unit matrix beside it
	for j, v := range s.basis {
		s.entries(v, func(constraint int, times float64) { m[constraint*2*n+j] = times })
		m[j*2*n+n+j] = 1
	}
	for col := range n {
		best := col
		for i := col + 1; i < n; i++ {
			if math.Abs(m[i*2*n+col]) > math.Abs(m[best*2*n+col]) {
				best = i
			}
		}
		if math.Abs(m[best*2*n+col]) < 1e-12 {
			return
		}
		if best != col {
			for k := range 2 * n {
				m[best*2*n+k], m[col*2*n+k] = m[col*2*n+k], m[best*2*n+k]
			}
		}
		pivotRow := m[col*2*n : (col+1)*2*n]
		p := pivotRow[col]
		for k := range pivotRow {
			pivotRow[k] /= p
		}
		for i := range n {
			row := m[i*2*n : (i+1)*2*n]
			f := row[col]
			if i == col || f == 0 {
				continue
			}
			for k := col; k < 2*n; k++ {
				row[k] -= f * pivotRow[k]
			}
		}
	}
	for i := range n {
		copy(s.inverse[i*n:i*n+n], m[i*2*n+n:(i+1)*2*n])
		s.amount[i] = 0
		for k, r := range s.right {
			s.amount[i] += s.inverse[i*n+k] * r
		}
	}
}
