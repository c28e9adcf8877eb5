package httpmw_test

import (
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

func carrier(h http.Header) propagation.HeaderCarrier { return propagation.HeaderCarrier(h) }
