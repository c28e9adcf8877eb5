module github.com/misfit-go/misfit/internal/interop

go 1.26.0

replace github.com/misfit-go/misfit => ../../
