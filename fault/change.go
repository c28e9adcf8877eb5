package fault

import "slices"

// A ruleChange is a difference between two sets of rules: some go and some come,
// both in the order in which they are asked. A rule that is edited does both.
type ruleChange struct {
	gone, come []*liveRule
}

func (c *ruleChange) sort() {
	slices.SortFunc(c.gone, compareOrder)
	slices.SortFunc(c.come, compareOrder)
}

func (c ruleChange) empty() bool { return len(c.gone) == 0 && len(c.come) == 0 }

// where returns the part of the change that is about rules which in says yes to.
func (c ruleChange) where(in func(*liveRule) bool) ruleChange {
	var part ruleChange
	for _, l := range c.gone {
		if in(l) {
			part.gone = append(part.gone, l)
		}
	}
	for _, l := range c.come {
		if in(l) {
			part.come = append(part.come, l)
		}
	}
	return part
}

// of returns what list becomes, which is in order and has the rules that go. It
// leaves list as it is, for those who are reading it.
func (c ruleChange) of(list []*liveRule) []*liveRule {
	switch {
	case c.empty():
		return list
	case len(list) == 0:
		return c.come
	}
	next := make([]*liveRule, 0, len(list)-len(c.gone)+len(c.come))
	gone, come := c.gone, c.come
	for len(gone) > 0 || len(come) > 0 {
		if len(come) == 0 || len(gone) > 0 && compareOrder(gone[0], come[0]) <= 0 {
			i, _ := slices.BinarySearchFunc(list, gone[0], compareOrder)
			next = append(next, list[:i]...)
			list, gone = list[i+1:], gone[1:]
			continue
		}
		i, _ := slices.BinarySearchFunc(list, come[0], compareOrder)
		next = append(append(next, list[:i]...), come[0])
		list, come = list[i:], come[1:]
	}
	return append(next, list...)
}
