package sqldriver

import (
	"database/sql/driver"
	"reflect"
)

// A rows is a result as database/sql sees it: see [conn]. Each parameter stands
// for what the method of one interface returns.
type rows[More, Scan, Name, Size, Null, Scale any] struct{ *result }

type (
	lacksError  error
	lacksType   reflect.Type
	lacksString string
)

func newRows(r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsNextResultSet); ok {
		return withMore[error](r)
	}
	return withMore[lacksError](r)
}

func withMore[More any](r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsColumnTypeScanType); ok {
		return withScan[More, reflect.Type](r)
	}
	return withScan[More, lacksType](r)
}

func withScan[More, Scan any](r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return withName[More, Scan, string](r)
	}
	return withName[More, Scan, lacksString](r)
}

func withName[More, Scan, Name any](r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsColumnTypeLength); ok {
		return withSize[More, Scan, Name, bool](r)
	}
	return withSize[More, Scan, Name, lacksBool](r)
}

func withSize[More, Scan, Name, Size any](r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsColumnTypeNullable); ok {
		return withNull[More, Scan, Name, Size, bool](r)
	}
	return withNull[More, Scan, Name, Size, lacksBool](r)
}

func withNull[More, Scan, Name, Size, Null any](r *result) driver.Rows {
	if _, ok := r.native.(driver.RowsColumnTypePrecisionScale); ok {
		return &rows[More, Scan, Name, Size, Null, bool]{r}
	}
	return &rows[More, Scan, Name, Size, Null, lacksBool]{r}
}

// as is v in the guise of a type parameter: the type that v has where the
// interface is there, and is asked for.
func as[T any](v any) T {
	t, _ := v.(T) // a nil interface is the zero T
	return t
}

// HasNextResultSet implements [driver.RowsNextResultSet].
func (r *rows[_, _, _, _, _, _]) HasNextResultSet() bool {
	return r.native.(driver.RowsNextResultSet).HasNextResultSet()
}

// NextResultSet implements [driver.RowsNextResultSet]. A cut keeps the next set
// back as it does a row.
func (r *rows[More, _, _, _, _, _]) NextResultSet() More {
	if err := r.stream.Broken(); err != nil {
		return as[More](r.fail(err))
	}
	return as[More](r.native.(driver.RowsNextResultSet).NextResultSet())
}

// ColumnTypeScanType implements [driver.RowsColumnTypeScanType].
func (r *rows[_, Scan, _, _, _, _]) ColumnTypeScanType(index int) Scan {
	return as[Scan](r.native.(driver.RowsColumnTypeScanType).ColumnTypeScanType(index))
}

// ColumnTypeDatabaseTypeName implements [driver.RowsColumnTypeDatabaseTypeName].
func (r *rows[_, _, Name, _, _, _]) ColumnTypeDatabaseTypeName(index int) Name {
	return as[Name](r.native.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(index))
}

// ColumnTypeLength implements [driver.RowsColumnTypeLength].
func (r *rows[_, _, _, Size, _, _]) ColumnTypeLength(index int) (int64, Size) {
	length, ok := r.native.(driver.RowsColumnTypeLength).ColumnTypeLength(index)
	return length, as[Size](ok)
}

// ColumnTypeNullable implements [driver.RowsColumnTypeNullable].
func (r *rows[_, _, _, _, Null, _]) ColumnTypeNullable(index int) (nullable bool, ok Null) {
	nullable, known := r.native.(driver.RowsColumnTypeNullable).ColumnTypeNullable(index)
	return nullable, as[Null](known)
}

// ColumnTypePrecisionScale implements [driver.RowsColumnTypePrecisionScale].
func (r *rows[_, _, _, _, _, Scale]) ColumnTypePrecisionScale(index int) (precision, scale int64, ok Scale) {
	precision, scale, known := r.native.(driver.RowsColumnTypePrecisionScale).ColumnTypePrecisionScale(index)
	return precision, scale, as[Scale](known)
}
