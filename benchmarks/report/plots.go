package main

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A picture is a plot of a report.
type picture struct {
	file, title string
	x, y        string
	series      func(*run) []series
	xTicks      plot.Ticker
	logX, logY  bool
}

// A series is a line with the intervals of its points.
type series struct {
	name   string
	points []point
}

type point struct {
	x float64
	y summary
}

// none is where a logarithmic axis of numbers of rules has the zero.
const none = 0.1

func plots() []picture {
	return []picture{
		{
			file:  "rules-elsewhere.svg",
			title: "Rules that are aimed at another point",
			x:     "live rules", y: "time per call (ns)",
			series: func(g *run) []series { return g.timeByRules("elsewhere") },
			xTicks: ruleTicks, logX: true, logY: true,
		},
		{
			file:  "rules-here.svg",
			title: "Rules that are aimed at the point, each for another customer",
			x:     "live rules", y: "time per call (ns)",
			series: func(g *run) []series { return g.timeByRules("other-customer") },
			xTicks: ruleTicks, logX: true, logY: true,
		},
		{
			file:  "delay-accuracy.svg",
			title: "Delays: how much later than asked, when all end at once",
			x:     "calls waiting at once", y: "later than asked (ms)",
			series: lateness,
			xTicks: waitingTicks, logX: true, logY: true,
		},
	}
}

var waitingTicks = plot.ConstantTicks{
	{Value: 1, Label: "1"},
	{Value: 10},
	{Value: 100, Label: "100"},
	{Value: 1000, Label: "1,000"},
	{Value: 10_000, Label: ""},
	{Value: 20_000, Label: "20,000"},
}

// latenessOf is the delay that the plot of delays is about, the only one that is
// measured with 20,000 calls that are to be woken at the same time.
const latenessOf = "delay=100ms"

// lateness are the quantiles of the library, and of timers without it.
func lateness(g *run) (all []series) {
	for _, with := range []string{ourName, "timer"} {
		for _, q := range []struct{ unit, name string }{{"p50-late-sec", "median"}, {"p99-late-sec", "p99"}, {"max-late-sec", "longest"}} {
			s := series{name: with + ", " + q.name}
			for _, r := range g.find("DelayAccuracy", latenessOf, "with="+with) {
				late, ok := r.of(q.unit)
				waiting, err := strconv.ParseFloat(r.key("waiting"), 64)
				if ok && err == nil && late.center > 0 {
					s.points = append(s.points, point{waiting, late.scale(1e3)})
				}
			}
			if len(s.points) > 0 {
				all = append(all, s)
			}
		}
	}
	return all
}

var ruleTicks = plot.ConstantTicks{
	{Value: none, Label: "none"},
	{Value: 1, Label: "1"},
	{Value: 10},
	{Value: 100, Label: "100"},
	{Value: 1000},
	{Value: 10_000, Label: "10,000"},
}

// timeByRules are lines of what calls take with the library while so many rules are
// live in a scenario; with none, it is idle.
func (g *run) timeByRules(scenario string) []series {
	var all []series
	for _, r := range g.rows {
		name := r.key("scenario")
		rules, err := strconv.ParseFloat(r.key("rules"), 64)
		if !ours(r.with) || !r.has("mode=serial") || name != "idle" && name != scenario || err != nil {
			continue
		}
		took, ok := r.of(timeUnit)
		if !ok || took.center <= 0 {
			continue
		}
		at := slices.IndexFunc(all, func(s series) bool { return s.name == r.where() })
		if at < 0 {
			at = len(all)
			all = append(all, series{name: r.where()})
		}
		all[at].points = append(all[at].points, point{max(rules, none), took.scale(1e9)})
	}
	// A call that is not measured with more rules has no line.
	return slices.DeleteFunc(all, func(s series) bool {
		return !slices.ContainsFunc(s.points, func(p point) bool { return p.x >= 1 })
	})
}

// colors are told apart by those who see no red and green, too (Okabe and Ito).
var colors = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.Black,
}

var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{},
	draw.SquareGlyph{},
	draw.TriangleGlyph{},
	draw.PyramidGlyph{},
	draw.BoxGlyph{},
	draw.RingGlyph{},
	draw.CrossGlyph{},
	draw.PlusGlyph{},
}

const (
	plotWidth   = 10.5 * vg.Inch
	plotHeight  = 4.5 * vg.Inch
	legendWidth = 3.6 * vg.Inch
)

// svg draws the picture; nil if nothing was measured that it shows.
func (p picture) svg(g *run) ([]byte, error) {
	all := p.series(g)
	if len(all) == 0 {
		return nil, nil
	}
	pl := p.axes()
	for i, s := range all {
		if err := addSeries(pl, s, i); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", p.file, s.name, err)
		}
	}
	canvas := vgsvg.New(plotWidth, plotHeight)
	whole := draw.New(canvas)
	whole.SetColor(color.White) // in the dark, too
	whole.Fill(whole.Rectangle.Path())
	legend := pl.Legend
	pl.Legend = plot.NewLegend()
	pl.Draw(draw.Crop(whole, 8, -legendWidth, 8, -8))
	legend.Draw(draw.Crop(whole, plotWidth-legendWidth+8, 0, 0, -30))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("%s: %w", p.file, err)
	}
	// Not every reader has the font that the texts were measured by, but all have one
	// that is as wide.
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

func (p picture) axes() *plot.Plot {
	pl := plot.New()
	sans := func(f *font.Font, size vg.Length) { f.Variant, f.Size = "Sans", size }
	for _, f := range []*font.Font{
		&pl.X.Tick.Label.Font, &pl.Y.Tick.Label.Font, &pl.X.Label.TextStyle.Font, &pl.Y.Label.TextStyle.Font, &pl.Legend.TextStyle.Font,
	} {
		sans(f, 11)
	}
	sans(&pl.Title.TextStyle.Font, 13)
	pl.Title.Text, pl.X.Label.Text, pl.Y.Label.Text = p.title, p.x, p.y
	pl.Title.Padding = 8
	if p.logX {
		pl.X.Scale = plot.LogScale{}
	}
	if p.logY {
		pl.Y.Scale = plot.LogScale{}
		pl.Y.Tick.Marker = withCommas{}
	}
	if p.xTicks != nil {
		pl.X.Tick.Marker = p.xTicks
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe0}, color.Gray{0xe0}
	pl.Add(grid)
	pl.Legend.Top, pl.Legend.Left = true, true
	pl.Legend.Padding = 2
	return pl
}

func addSeries(pl *plot.Plot, s series, i int) error {
	points := make(plotter.XYs, len(s.points))
	bars := plotter.YErrorBars{}
	for j, p := range s.points {
		points[j] = plotter.XY{X: p.x, Y: p.y.center}
		if p.y.bounded() && !math.IsInf(p.y.hi, 0) && (p.y.lo > 0 || !logarithmic(pl)) {
			bars.XYs = append(bars.XYs, points[j])
			bars.YErrors = append(bars.YErrors, struct{ Low, High float64 }{p.y.center - p.y.lo, p.y.hi - p.y.center})
		}
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	c := colors[i%len(colors)]
	line.Color, line.Width = c, vg.Points(1.6)
	if i >= len(colors) {
		line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	}
	dots.Color, dots.Shape, dots.Radius = c, glyphs[i%len(glyphs)], vg.Points(3.5)
	pl.Add(line, dots)
	pl.Legend.Add(s.name, line, dots)
	if len(bars.XYs) > 0 {
		bars.LineStyle = draw.LineStyle{Color: c, Width: vg.Points(1)}
		bars.CapWidth = vg.Points(6)
		pl.Add(&bars)
	}
	for _, p := range points {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			return fmt.Errorf("%v at %v cannot be drawn", p.Y, p.X)
		}
	}
	return nil
}

// withCommas are the ticks of a logarithmic axis, with their numbers as in the text.
type withCommas struct{}

func (withCommas) Ticks(low, high float64) []plot.Tick {
	ticks := plot.LogTicks{Prec: -1}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = figure(t.Value)
		}
	}
	return ticks
}

func logarithmic(pl *plot.Plot) bool { _, ok := pl.Y.Scale.(plot.LogScale); return ok }

func writePlots(w io.Writer, g *run) {
	for _, p := range plots() {
		if len(p.series(g)) > 0 {
			fmt.Fprintf(w, "\n![%s: %s against %s](%s/%s)\n", p.title, p.y, p.x, plotsName, p.file)
		}
	}
}
