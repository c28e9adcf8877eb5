package main

import (
	"encoding/xml"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/internal/criticality"
)

// The elements of JUnit's reports that the readers of most CI systems know.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitReason `xml:"failure,omitempty"`
		Error   *junitReason `xml:"error,omitempty"`
		Skipped *junitReason `xml:"skipped,omitempty"`
		Out     string       `xml:"system-out,omitempty"`
	}
	junitReason struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junit returns the report in JUnit's XML: a case for each dependency and each set,
// which fails if it is critical and may not be.
func (r *criticalReport) junit(strict bool) ([]byte, error) {
	suite := junitSuite{Name: legible(strings.Join(r.Journey, " ")), Time: seconds(r.Took.Seconds())}
	add := func(c junitCase) {
		c.Class, c.Name = "misfit.critical", legible(c.Name)
		for _, reason := range []*junitReason{c.Failure, c.Error, c.Skipped} {
			if reason != nil {
				reason.Message, reason.Text = legible(reason.Message), legible(reason.Text)
			}
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	for _, d := range r.Dependencies {
		c := junitCase{Name: d.Point, Time: seconds(d.Seconds)}
		switch d.Verdict {
		case criticality.Critical:
			if d.Known {
				c.Out = legible("critical, as is known: " + d.Why)
			} else {
				c.Failure = &junitReason{"newly critical", "critical", d.Why}
			}
		case criticality.Tolerated:
			if c.Out = "tolerated"; d.Known {
				if c.Out = "no longer critical"; strict {
					c.Failure = &junitReason{"no longer critical", "stale", ""}
				}
			}
			if d.Why != "" {
				c.Out = legible(c.Out + ": " + d.Why)
			}
		case criticality.NotReached:
			c.Skipped = &junitReason{Message: "not reached: " + d.Why}
		default:
			c.Error = &junitReason{"unclear", "unclear", d.Why}
		}
		add(c)
	}
	for _, set := range r.Together {
		c := junitCase{Name: strings.Join(set.Points, " + "), Time: seconds(0)}
		if set.Known {
			c.Out = "critical together, as is known"
		} else {
			c.Failure = &junitReason{"newly critical together", "critical", "each alone is tolerated"}
		}
		add(c)
	}
	if strict {
		for _, text := range r.stale()[len(r.NoLonger):] {
			add(junitCase{Name: text, Time: seconds(0), Failure: &junitReason{text, "stale", ""}})
		}
	}
	if r.Unexplained != "" {
		add(junitCase{Name: "all but what may be critical", Time: seconds(r.Rest.Seconds), Error: &junitReason{r.Unexplained, "unclear", r.Rest.Why}})
	}
	if r.failed != "" {
		add(junitCase{Name: "it could not be found out", Time: seconds(0), Error: &junitReason{r.failed, "failed", ""}})
	}
	data, err := xml.MarshalIndent(junitSuites{
		Name: "misfit critical", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Skipped: suite.Skipped, Time: suite.Time, Suite: suite,
	}, "", "  ")
	return append([]byte(xml.Header), append(data, '\n')...), err
}

// legible writes out what XML cannot hold, or what could steer a terminal.
func legible(text string) string { return escaped(strings.ToValidUTF8(text, "\ufffd")) }

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
