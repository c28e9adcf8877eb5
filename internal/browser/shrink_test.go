package browser_test

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
)

// shrink makes a picture of a page several times smaller: it has few colours, but
// for the edges of letters, where the nearest one will do.
func shrink(data []byte) ([]byte, error) {
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := picture.Bounds()
	found := make(map[color.RGBA]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			found[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	// The most frequent ones, with those that are nearly the same left out.
	var colours color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(found), func(a, b color.RGBA) int { return cmp.Compare(found[b], found[a]) }) {
		if len(colours) < 256 && (len(colours) == 0 || distance(c, colours.Convert(c).(color.RGBA)) > 200) {
			colours = append(colours, c)
		}
	}
	nearest := make(map[color.RGBA]uint8, len(found))
	for c := range found {
		nearest[c] = uint8(colours.Index(c))
	}
	small := image.NewPaletted(bounds, colours)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&out, small)
	return out.Bytes(), err
}

func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return d(a.R, b.R) + d(a.G, b.G) + d(a.B, b.B)
}
