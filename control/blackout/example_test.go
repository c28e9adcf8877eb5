package blackout_test

import (
	"fmt"
	"time"

	"github.com/misfit-go/misfit/control/blackout"
	"github.com/misfit-go/misfit/fault"
)

func ExampleParse() {
	office, err := blackout.Parse("0 9 * * MON-FRI for 8h in Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{Blackouts: []fault.Blackout{office}}))
	fmt.Println(inj.Guardrails().Blackouts[0])

	monday := time.Date(2026, 1, 5, 8, 30, 0, 0, time.UTC)
	fmt.Println(office.Active(monday))
	fmt.Println(office.Next(monday))

	_, err = blackout.Parse("0 0 30 2 * for 24h")
	fmt.Println(err)
	// Output:
	// 0 9 * * MON-FRI for 8h in Europe/Berlin
	// 2026-01-05 17:00:00 +0100 CET true
	// 2026-01-06 09:00:00 +0100 CET true
	// blackout: "0 0 30 2 * for 24h": never begins: there is no such day
}

func ExampleNew() {
	release, err := blackout.New("0 18 * * THU", 3*time.Hour, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(release.Active(time.Date(2026, 1, 8, 20, 59, 0, 0, time.UTC)))
	// Output: 2026-01-08 21:00:00 +0000 UTC true
}
