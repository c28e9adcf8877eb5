// Package token makes and verifies the signed tokens with which a test client
// asks for faults in its own requests.
//
// The two types to know are [Claims], what a token says, and [Verifier], which
// tells a service whether to believe it. Whoever makes tokens has a [Key]:
//
//	text, err := token.Sign(key, token.Claims{
//		Issuer:   "ci",
//		Audience: "staging",
//		Token: fault.Token{
//			ID: token.NewID(), Subject: "kim@example.com",
//			NotBefore: time.Now(), Expires: time.Now().Add(10 * time.Minute),
//			Rules: []fault.Rule{{
//				Target: fault.Target{Points: []string{"ratings"}},
//				Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
//			}},
//		},
//	})
//	request.Header.Set("Fault-Token", text)
//
// and every service that is to obey has the public half:
//
//	verifier, err := token.WatchFile(ctx, "/etc/misfit/keys.json")
//	inj := fault.New("checkout", fault.WithTokens(verifier))
//
// The first service that takes the token carries it on, and each one behind it
// verifies it again.
//
// # Keys
//
// "misfit keygen" makes a key, or [GenerateKey] does. Its JSON is a JSON Web Key,
// to be kept where tokens are made, and nowhere else. What services get is a
// [KeySet] with its public half:
//
//	set := token.KeySet{Audience: "staging", Keys: []token.Key{key.Public()}}
//	data, err := json.Marshal(set)
//
// A key is changed without a gap by adding the new one, signing with it, and
// taking the old one out when its last token has expired. Taking a key out
// revokes all that it has signed, and an entry in revoked a single token. Both
// take effect without a restart: a file is looked at every second and taken once
// it was found the same twice in a row, in whichever way it is written; from code
// there is [Verifier.Replace].
//
// Use [HMACKey] for set-ups that are so small that every service may make tokens.
//
// # The token
//
// It is a compact JWS (RFC 7515) of at most 4,096 bytes, signed with EdDSA by an
// Ed25519 key or with HS256. A token with one rule has less than 512 bytes. Its
// header has alg, kid and, if need be, the typ "JWT"; its payload is the claims
// iss, aud, nbf, exp, jti and sub of RFC 7519, all required, with iat allowed,
// and rules, an array of [fault.Rule] without ID, TTL and Expires. The entries
// of aud are an environment, or an environment and a service as in
// "production/checkout". Dates are whole seconds. So any library for JWTs can
// make one.
//
// # Safety
//
// What is not exactly like this is refused: other algorithms (none among them),
// a key used with the algorithm of another, further members of header, claims
// and rules, the same member twice, and any other way to write the same
// base64url. A key set is read as strictly. Nothing of the payload is
// interpreted before its signature has been verified.
//
// Until then every refusal is [fault.ErrNotGenuine], whose text is all that
// whoever sent the token should be told. Later ones are for the people who made
// it, and say what would be right.
//
// A token is accepted from [Leeway] before its not-before, for clocks that
// differ, and not at all from its expiry on. Where the keys cannot be known, no
// token is accepted: while the key file is missing or bad, and after the context
// of [WatchFile] has ended. How long a token may live, and what it may ask for,
// is for the guardrails of the injector.
//
// # Concurrency
//
// Everything is safe for concurrent use. WatchFile has one goroutine, which ends
// with its context.
//
// # Cost
//
// To verify a token takes some 110 µs with EdDSA and 50 µs with HS256, of which 40
// are for reading its claims, in each process; the injector asks once for each
// token in use. Of a flood of forged ones, no more signatures are looked at than
// [MaxVerificationsPerSecond] allows, at some 65 µs each; the rest is refused in
// less than 10. A verifier remembers up to 4,096 good signatures, in some 300 KB.
//
// # Not promised
//
// A token is not bound to who sends it: whoever reads one may use it until it
// expires or is revoked, so let it live for minutes and name in its rules whom it
// is for. It is signed and not secret: anyone can read it. While forged tokens
// use up the rate, new good ones are refused too, and requests go on without
// their faults. An HS256 key makes every service that verifies an issuer. Texts
// of errors may change before v1.
package token
