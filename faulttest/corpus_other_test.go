package faulttest_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/doublecharge"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/lostcommit"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/orderdb"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/twofaults"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/uncheckedrows"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

func doubleCharge(corrected bool) functional {
	open := pick(corrected, doublecharge.Broken, doublecharge.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		payments := new(doublecharge.Payments)
		err := open(dial(t, inj, "payments", payments.Register)).Charge(t.Context(), "order-7", 1299)
		require.LessOrEqual(t, payments.Made(), 1, "the card was charged twice")
		if !faulttest.Injected(t, "payments") {
			require.NoError(t, err)
		}
		if err == nil {
			require.Equal(t, 1, payments.Made())
		}
	}
}

// dial returns a connection, in memory and through a point, to a server with the
// services that register adds.
func dial(t testing.TB, inj *fault.Injector, name string, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	register(server)
	go func() { _ = server.Serve(listener) }() // until it is stopped
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///"+name, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	}, grpcint.DialOptions(inj, name)...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func lostCommit(corrected bool) functional {
	open := pick(corrected, lostcommit.Broken, lostcommit.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		db := new(orderdb.Database)
		shop := open(inj, db)
		t.Cleanup(func() { require.NoError(t, shop.Close()) })
		placed, err := shop.Place(t.Context(), "order-7", 1299)
		if !faulttest.Injected(t, "orders-db") {
			require.NoError(t, err)
			require.True(t, placed)
		}
		if err == nil {
			_, there := db.Orders()["order-7"]
			require.Equal(t, there, placed, "the customer was told otherwise")
		}
	}
}

func uncheckedRows(corrected bool) functional {
	open := pick(corrected, uncheckedrows.Broken, uncheckedrows.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		db := new(orderdb.Database)
		db.Put(map[string]int64{"a": 10, "b": 20, "c": 30})
		books := open(inj, db)
		t.Cleanup(func() { require.NoError(t, books.Close()) })
		total, err := books.Total(t.Context())
		if faulttest.Injected(t, "orders-db") && err != nil {
			return // no total, but no wrong one
		}
		require.NoError(t, err)
		require.Equal(t, int64(60), total)
	}
}

func bothStores(corrected bool) functional {
	open := pick(corrected, twofaults.Broken, twofaults.Fixed)
	return func(t testing.TB, inj *fault.Injector) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		greeting := open(inj).Greeting(ctx, "7")
		if !faulttest.Injected(t, "primary") {
			require.Equal(t, "Hello, Dorothea 7", greeting)
		}
		require.NotEmpty(t, greeting)
	}
}
