package token_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// Every way to lie that ends before or with the signature. All are refused in
// the same words to whoever sent them.
func TestForged(t *testing.T) {
	key, secret := generate(t, "k1"), hmacKey(t, "k2")
	imposter := generate(t, "k1")
	v := verifier(t, production(key, secret))
	good, goodHMAC := sign(t, key, claims()), sign(t, secret, claims())
	for _, text := range []string{good, goodHMAC} {
		_, err := v.VerifyToken(text)
		require.NoError(t, err)
	}
	parts, partsHMAC := strings.Split(good, "."), strings.Split(goodHMAC, ".")
	body := decode(t, parts[1])

	// confused is signed with HS256, a public half being the secret.
	confused := func(kid string, secret []byte) string {
		input := encode(object{"alg": "HS256", "kid": kid}.String()) + "." + parts[1]
		return input + "." + encode(hs256(secret, input))
	}
	public := octets(t, key.Public(), "x")
	inPEM, err := x509.MarshalPKIXPublicKey(jwkOf(t, key.Public()).Key)
	require.NoError(t, err)
	inJWK, err := json.Marshal(key.Public())
	require.NoError(t, err)

	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	withRSA := func(algorithm jose.SignatureAlgorithm) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: rsaKey}, new(jose.SignerOptions).WithHeader("kid", "k1"))
		require.NoError(t, err)
		signed, err := signer.Sign([]byte(body))
		require.NoError(t, err)
		return must(signed.CompactSerialize())
	}
	none := func(algorithm string) string {
		return encode(object{"alg": algorithm, "kid": "k1"}.String()) + "." + parts[1] + "."
	}
	other := strings.Replace(body, `"42"`, `"43"`, 1)
	require.NotEqual(t, body, other)

	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// looser ends with another character that a lenient decoder reads alike.
	looser := func(text string) string {
		last := text[len(text)-1]
		return text[:len(text)-1] + string(alphabet[strings.IndexByte(alphabet, last)+1])
	}

	for name, test := range map[string]struct{ text, want string }{
		"payload altered":             {parts[0] + "." + encode(other) + "." + parts[2], "signature is not that of the key"},
		"payload altered, HMAC":       {partsHMAC[0] + "." + encode(other) + "." + partsHMAC[2], "signature is not that of the key"},
		"payload of another token":    {parts[0] + "." + encode(payload().String()) + "." + parts[2], "signature is not that of the key"},
		"header altered":              {encode(header(key).with("typ", "JWT").String()) + "." + parts[1] + "." + parts[2], "signature is not that of the key"},
		"header spaced differently":   {encode(`{"alg":"EdDSA", "kid":"k1"}`) + "." + parts[1] + "." + parts[2], "signature is not that of the key"},
		"signature of another token":  {parts[0] + "." + parts[1] + "." + strings.Split(sign(t, key, with(claims(), "other")), ".")[2], "signature is not that of the key"},
		"another key of the same kid": {sign(t, imposter, claims()), "signature is not that of the key"},
		"signature of zeros":          {parts[0] + "." + parts[1] + "." + encode(strings.Repeat("\x00", 64)), "signature is not that of the key"},
		"signature too long":          {good + "AAAA", "has 67 bytes; one with EdDSA has 64"},
		"signature too short":         {good[:len(good)-2], "signature has 63 bytes"},
		"signature left out":          {parts[0] + "." + parts[1] + ".", "has 0 bytes; one with EdDSA has 64"},
		"signature of HMAC cut":       {partsHMAC[0] + "." + partsHMAC[1] + "." + encode(decode(t, partsHMAC[2])[:16]), "has 16 bytes; one with HS256 has 32"},

		"alg none":                    {none("none"), `signed with "none"; allowed are EdDSA and HS256`},
		"alg None":                    {none("None"), `signed with "None"`},
		"alg NONE, signed":            {jws(t, key, `{"alg":"NONE","kid":"k1"}`, body), `signed with "NONE"`},
		"alg nOnE, signed":            {jws(t, key, `{"alg":"nOnE","kid":"k1"}`, body), `signed with "nOnE"`},
		"alg with a space":            {jws(t, key, `{"alg":"none ","kid":"k1"}`, body), `signed with "none "`},
		"alg null":                    {jws(t, key, `{"alg":null,"kid":"k1"}`, body), "its header: alg: must not be null"},
		"alg empty":                   {jws(t, key, `{"alg":"","kid":"k1"}`, body), "its header: alg: is required"},
		"alg missing":                 {jws(t, key, `{"kid":"k1"}`, body), "its header: alg: is required"},
		"alg in another case":         {jws(t, key, `{"alg":"eddsa","kid":"k1"}`, body), `signed with "eddsa"`},
		"alg Ed25519":                 {jws(t, key, `{"alg":"Ed25519","kid":"k1"}`, body), `signed with "Ed25519"`},
		"alg HS384":                   {jws(t, secret, `{"alg":"HS384","kid":"k2"}`, body), `signed with "HS384"`},
		"alg RS256":                   {withRSA(jose.RS256), `signed with "RS256"`},
		"alg PS256":                   {withRSA(jose.PS256), `signed with "PS256"`},
		"alg is long":                 {jws(t, key, `{"alg":"`+strings.Repeat("x", 1000)+`","kid":"k1"}`, body), `x"…; allowed are`},
		"HS256 with the bytes of x":   {confused("k1", public), `signed with HS256; key "k1" is for EdDSA`},
		"HS256 with the text of x":    {confused("k1", []byte(encode(string(public)))), `signed with HS256; key "k1" is for EdDSA`},
		"HS256 with the PEM":          {confused("k1", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: inPEM})), `signed with HS256; key "k1" is for EdDSA`},
		"HS256 with the DER":          {confused("k1", inPEM), `signed with HS256; key "k1" is for EdDSA`},
		"HS256 with the JWK":          {confused("k1", inJWK), `signed with HS256; key "k1" is for EdDSA`},
		"HS256 with the other's name": {confused("k2", public), "signature is not that of the key"},
		"HS256 with no secret":        {confused("k2", nil), "signature is not that of the key"},
		"EdDSA with an HMAC key":      {jws(t, imposter, `{"alg":"EdDSA","kid":"k2"}`, body), `signed with EdDSA; key "k2" is for HS256`},

		"kid unknown":          {sign(t, generate(t, "k9"), claims()), `no key in force is named "k9"`},
		"kid missing":          {jws(t, key, `{"alg":"EdDSA"}`, body), "its header: kid: is required"},
		"kid empty":            {jws(t, key, `{"alg":"EdDSA","kid":""}`, body), "its header: kid: is required"},
		"kid a number":         {jws(t, key, `{"alg":"EdDSA","kid":1}`, body), "its header: kid: want a string, got a number"},
		"kid in another case":  {jws(t, key, `{"alg":"EdDSA","kid":"K1"}`, body), `no key in force is named "K1"`},
		"kid a path":           {jws(t, key, `{"alg":"EdDSA","kid":"../k1"}`, body), `no key in force is named "../k1"`},
		"crit":                 {jws(t, key, `{"alg":"EdDSA","crit":["exp"],"kid":"k1"}`, body), `its header: crit: unknown field; known are`},
		"b64":                  {jws(t, key, `{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"k1"}`, body), `its header: b64: unknown field; known are`},
		"zip":                  {jws(t, key, `{"alg":"EdDSA","kid":"k1","zip":"DEF"}`, body), `its header: zip: unknown field; known are`},
		"jwk of the sender":    {jws(t, imposter, `{"alg":"EdDSA","jwk":`+string(must(json.Marshal(imposter.Public())))+`,"kid":"k1"}`, body), `its header: jwk: unknown field; known are`},
		"jku":                  {jws(t, key, `{"alg":"EdDSA","jku":"https://evil.example","kid":"k1"}`, body), `its header: jku: unknown field; known are`},
		"x5c":                  {jws(t, key, `{"alg":"EdDSA","kid":"k1","x5c":[]}`, body), `its header: x5c: unknown field; known are`},
		"x5u":                  {jws(t, key, `{"alg":"EdDSA","kid":"k1","x5u":""}`, body), `its header: x5u: unknown field; known are`},
		"nonce":                {jws(t, key, `{"alg":"EdDSA","kid":"k1","nonce":"x"}`, body), `its header: nonce: unknown field; known are`},
		"typ of another token": {jws(t, key, `{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}`, body), `its header: typ: want "JWT" or none, got "at+jwt"`},
		"typ null":             {jws(t, key, `{"alg":"EdDSA","kid":"k1","typ":null}`, body), "its header: typ: must not be null"},
		"alg twice":            {jws(t, key, `{"alg":"none","alg":"EdDSA","kid":"k1"}`, body), "its header: alg: given more than once"},
		"kid twice":            {jws(t, key, `{"alg":"EdDSA","kid":"k2","kid":"k1"}`, body), "its header: kid: given more than once"},
		"kid twice, escaped":   {jws(t, key, `{"alg":"EdDSA","kid":"k2","\u006bid":"k1"}`, body), "its header: kid: given more than once"},
		"names in capitals":    {jws(t, key, `{"Alg":"EdDSA","kid":"k1"}`, body), `its header: Alg: unknown field "Alg"; did you mean "alg"?`},
		"header and more":      {jws(t, key, `{"alg":"EdDSA","kid":"k1"}{}`, body), "its header: trailing data"},
		"header an array":      {jws(t, key, `["EdDSA","k1"]`, body), "its header: want an object, got an array"},
		"header null":          {jws(t, key, `null`, body), "its header: must not be null"},
		"header not JSON":      {jws(t, key, `alg: EdDSA`, body), "its header: syntax error"},
		"header not UTF-8":     {jws(t, key, "{\"alg\":\"EdDSA\",\"kid\":\"k1\xff\"}", body), "its header: invalid UTF-8"},
		"header empty":         {"." + parts[1] + "." + parts[2], "the header is required"},
		"payload empty":        {parts[0] + ".." + parts[2], "the payload is required"},

		"empty":                     {"", "has 1 parts between dots; want 3"},
		"dots":                      {"..", "the header is required"},
		"one part":                  {parts[0], "has 1 parts"},
		"two parts":                 {parts[0] + "." + parts[1], "has 2 parts"},
		"four parts":                {good + ".AAAA", "has 4 parts"},
		"five parts, as encrypted":  {good + ".AAAA.AAAA", "has 5 parts"},
		"trailing dot":              {good + ".", "has 4 parts"},
		"leading space":             {" " + good, "header is not base64url"},
		"trailing space":            {good + " ", "signature is not base64url"},
		"trailing newline":          {good + "\n", "signature is not base64url"},
		"newline inside":            {parts[0] + "." + parts[1][:8] + "\r\n" + parts[1][8:] + "." + parts[2], "payload is not base64url"},
		"tab inside":                {parts[0] + ".\t" + parts[1] + "." + parts[2], "payload is not base64url"},
		"NUL":                       {good + "\x00", "signature is not base64url"},
		"padding":                   {good + "==", "signature is not base64url"},
		"ordinary base64":           {parts[0] + "." + base64.RawStdEncoding.EncodeToString([]byte("\xfb\xff")) + "." + parts[2], "payload is not base64url"},
		"percent-encoded":           {strings.Replace(good, ".", "%2E", 1), "has 2 parts"},
		"quoted":                    {`"` + good + `"`, "header is not base64url"},
		"Bearer":                    {"Bearer " + good, "header is not base64url"},
		"bits left over":            {looser(good), "signature is not base64url"},
		"bits left over, HMAC":      {looser(goodHMAC), "signature is not base64url"},
		"a length there is not":     {parts[0] + "." + parts[1] + "." + parts[2] + "AAA", "signature is not base64url"},
		"not ASCII":                 {parts[0] + "." + parts[1] + ".é", "signature is not base64url"},
		"two tokens with a comma":   {good + "," + good, "has 5 parts"},
		"two tokens with a space":   {good + " " + good, "has 5 parts"},
		"two tokens with a ;":       {good + ";" + goodHMAC, "has 5 parts"},
		"JSON serialization":        {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "has 1 parts"},
		"JSON, with dots":           {`{"payload":"` + parts[1] + `.","signature":"."}`, "header is not base64url"},
		"4,097 bytes":               {good + strings.Repeat("A", 4097-len(good)), "has 4097 bytes; at most 4096 are looked at"},
		"8 KB":                      {strings.Repeat(good, 8192/len(good)+1), "at most 4096 are looked at"},
		"8 MB":                      {strings.Repeat("A", 8<<20), "has 8388608 bytes; at most 4096 are looked at"},
		"4 KB of dots":              {strings.Repeat(".", 4096), "has 4097 parts"},
		"4 KB of nesting in header": {encode(strings.Repeat("[", 3000)) + ".AAAA.AAAA", "its header: nested more than 64 levels deep"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.VerifyToken(test.text)
			notGenuine(t, err, test.want)
			require.Zero(t, got)
		})
	}
}

// Any other byte, anywhere in a token, makes it another.
func TestEveryByteCounts(t *testing.T) {
	key, secret := generate(t, "k1"), hmacKey(t, "k2")
	v := verifier(t, production(key, secret), token.MaxVerificationsPerSecond(1_000_000))
	for _, text := range []string{sign(t, key, claims()), sign(t, secret, claims())} {
		for i := range text {
			for _, b := range []byte{text[i] ^ 1, text[i] ^ 0x20, 'A', '_', '.', ' '} {
				altered := text[:i] + string(b) + text[i+1:]
				if altered == text {
					continue
				}
				_, err := v.VerifyToken(altered)
				notGenuine(t, err, "")
			}
			_, err := v.VerifyToken(text[:i])
			notGenuine(t, err, "")
			_, err = v.VerifyToken(text[:i] + text[i+1:])
			notGenuine(t, err, "")
		}
	}
}

// A header that other libraries write is as good.
func TestOtherHeaders(t *testing.T) {
	key := generate(t, "k1")
	v := verifier(t, production(key))
	for _, header := range []string{
		`{"alg":"EdDSA","kid":"k1"}`,
		`{"typ":"JWT","alg":"EdDSA","kid":"k1"}`,
		"{ \"kid\" : \"k1\",\n \"\\u0061lg\": \"EdDSA\" }",
	} {
		got, err := v.VerifyToken(jws(t, key, header, payload().String()))
		require.NoError(t, err, header)
		require.Equal(t, "k3v9q2m7xa", got.ID)
	}
}

func with(c token.Claims, id string) token.Claims {
	c.ID = id
	return c
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// jwkOf reads a key with another implementation.
func jwkOf(t testing.TB, key token.Key) jose.JSONWebKey {
	t.Helper()
	text, err := json.Marshal(key)
	require.NoError(t, err)
	var other jose.JSONWebKey
	require.NoError(t, other.UnmarshalJSON(text))
	require.True(t, other.Valid() || key.Algorithm() == "HS256")
	require.Equal(t, key.ID(), other.KeyID)
	require.Equal(t, key.Algorithm(), other.Algorithm)
	return other
}
