package record

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

var suites = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}

// keyPair is both sides' keys of a connection with made-up secrets.
func keyPair(t testing.TB, suite uint16) (client, server *Keys) {
	t.Helper()
	c := bytes.Repeat([]byte{1}, hashSize(suite))
	s := bytes.Repeat([]byte{2}, hashSize(suite))
	client, err := newKeys(suite, true, c, s)
	if err != nil {
		t.Fatal(err)
	}
	server, err = newKeys(suite, false, c, s)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// eachSuite runs a test for every cipher suite of TLS 1.3 that crypto/tls has.
func eachSuite(t *testing.T, f func(t *testing.T, client, server *Keys)) {
	for _, suite := range suites {
		t.Run(tls.CipherSuiteName(suite), func(t *testing.T) {
			client, server := keyPair(t, suite)
			f(t, client, server)
		})
	}
}

// requestUpdate appends a KeyUpdate that asks for one of the other side's.
func requestUpdate(k *Keys, dst []byte) []byte {
	dst = k.out.seal(dst, typeShake, []byte{msgUpdate, 0, 0, 1, 1})
	k.out.update(k.suite)
	return dst
}

// opened opens all records in buf and joins their data.
func opened(t testing.TB, k *Keys, buf []byte) string {
	t.Helper()
	var data strings.Builder
	for len(buf) > 0 {
		plain, n, err := k.Open(buf)
		if err != nil || n == 0 {
			t.Fatalf("Open: %d bytes used, %v", n, err)
		}
		data.Write(plain)
		buf = buf[n:]
	}
	return data.String()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The application data and the ends of the "simple 1-RTT handshake", RFC 8448
// §3. The server's begins at number 1, behind its session ticket.
func TestKeys_RFC8448(t *testing.T) {
	clientSecret := unhex(t, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	serverSecret := unhex(t, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
	data := make([]byte, 50)
	for i := range data {
		data[i] = byte(i)
	}
	for _, c := range []struct {
		name      string
		client    bool // it is the client who seals
		seq       uint64
		data, end string
	}{
		{
			"client", true, 0,
			"1703030043 a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
			"1703030013 c9872760655666b74d7ff1153efd6db6d0b0e3",
		},
		{
			"server", false, 1,
			"1703030043 2e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
			"1703030013 b58fd67166ebf599d24720cfbe7efa7a8864a9",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender, err := newKeys(tls.TLS_AES_128_GCM_SHA256, c.client, clientSecret, serverSecret)
			if err != nil {
				t.Fatal(err)
			}
			receiver, err := newKeys(tls.TLS_AES_128_GCM_SHA256, !c.client, clientSecret, serverSecret)
			if err != nil {
				t.Fatal(err)
			}
			sender.out.seq, receiver.in.seq = c.seq, c.seq
			sealed := sender.Seal(nil, data)
			if want := unhex(t, c.data); !bytes.Equal(sealed, want) {
				t.Errorf("data sealed to\n%x, want\n%x", sealed, want)
			}
			end := sender.CloseNotify(nil)
			if want := unhex(t, c.end); !bytes.Equal(end, want) {
				t.Errorf("close_notify sealed to %x, want %x", end, want)
			}
			if got := opened(t, receiver, unhex(t, c.data)); got != string(data) {
				t.Errorf("opened %x", got)
			}
			if _, _, err := receiver.Open(unhex(t, c.end)); err != io.EOF {
				t.Errorf("close_notify opened to %v", err)
			}
		})
	}
}

func TestKeys_EverySuiteBothWays(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *Keys) {
		for _, size := range []int{0, 1, 125, maxPlain - 1, maxPlain, maxPlain + 1, 100_000} {
			data := strings.Repeat("x", size)
			up := client.Seal(nil, []byte(data))
			if records := (size + maxPlain - 1) / maxPlain; len(up) != size+records*Overhead {
				t.Errorf("%d bytes were sealed to %d", size, len(up))
			}
			if got := opened(t, server, up); got != data {
				t.Errorf("%d bytes up became %d", size, len(got))
			}
			if got := opened(t, client, server.Seal(nil, []byte(data))); got != data {
				t.Errorf("%d bytes down became %d", size, len(got))
			}
		}
	})
}

func TestOpen_AsksForMoreUntilTheRecordIsWhole(t *testing.T) {
	client, server := keyPair(t, suites[0])
	sealed := client.Seal(nil, []byte("hello"))
	for n := range sealed {
		if plain, used, err := server.Open(sealed[:n]); plain != nil || used != 0 || err != nil {
			t.Fatalf("Open of %d of %d bytes: %q, %d, %v", n, len(sealed), plain, used, err)
		}
	}
	if got := opened(t, server, sealed); got != "hello" {
		t.Fatalf("opened %q", got)
	}
}

func TestOpen_RefusesAndStaysRefusing(t *testing.T) {
	many := func(k *Keys, n int, seal func([]byte) []byte) []byte {
		var b []byte
		for range n {
			b = seal(b)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		alert uint8
		send  func(k *Keys) []byte
	}{
		{"changed ciphertext", alertBadRecordMAC, func(k *Keys) []byte {
			b := k.Seal(nil, []byte("data"))
			b[7] ^= 1
			return b
		}},
		{"changed version", alertBadRecordMAC, func(k *Keys) []byte {
			b := k.Seal(nil, []byte("data"))
			b[2] = 1
			return b
		}},
		{"a record left out", alertBadRecordMAC, func(k *Keys) []byte {
			k.Seal(nil, []byte("data"))
			return k.Seal(nil, []byte("data"))
		}},
		{"no room for a tag", alertBadRecordMAC, func(*Keys) []byte { return []byte{23, 3, 3, 0, 1, 0} }},
		{"empty", alertBadRecordMAC, func(*Keys) []byte { return []byte{23, 3, 3, 0, 0} }},
		{"too long, by its header alone", alertRecordOverflow, func(*Keys) []byte { return []byte{23, 3, 3, 0x41, 0x01} }},
		{"too much in it", alertRecordOverflow, func(k *Keys) []byte {
			return k.out.seal(nil, typeData, make([]byte, maxPlain+1))
		}},
		{"too much padding", alertRecordOverflow, func(k *Keys) []byte {
			return k.out.seal(nil, 0, append(append(make([]byte, maxPlain-10), typeData), make([]byte, 11)...))
		}},
		{"change_cipher_spec", alertUnexpectedMessage, func(*Keys) []byte { return []byte{20, 3, 3, 0, 1, 1} }},
		{"a plain alert", alertUnexpectedMessage, func(*Keys) []byte { return []byte{21, 3, 3, 0, 2, 1, 0} }},
		{"only padding", alertUnexpectedMessage, func(k *Keys) []byte { return k.out.seal(nil, 0, make([]byte, 9)) }},
		{"unknown type", alertUnexpectedMessage, func(k *Keys) []byte { return k.out.seal(nil, 24, []byte("heartbeat")) }},
		{"sealed change_cipher_spec", alertUnexpectedMessage, func(k *Keys) []byte { return k.out.seal(nil, 20, []byte{1}) }},
		{"an alert of 1 byte", alertDecodeError, func(k *Keys) []byte { return k.out.seal(nil, typeAlert, []byte{0}) }},
		{"an empty handshake record", alertUnexpectedMessage, func(k *Keys) []byte { return k.out.seal(nil, typeShake, nil) }},
		{"ClientHello", alertUnexpectedMessage, func(k *Keys) []byte { return k.out.seal(nil, typeShake, []byte{1, 0, 0, 0}) }},
		{"a ticket from a client", alertUnexpectedMessage, func(k *Keys) []byte {
			return k.out.seal(nil, typeShake, []byte{msgTicket, 0, 0, 1, 0})
		}},
		{"KeyUpdate of 2 bytes", alertDecodeError, func(k *Keys) []byte {
			return k.out.seal(nil, typeShake, []byte{msgUpdate, 0, 0, 2, 0, 0})
		}},
		{"KeyUpdate 2", alertIllegalParameter, func(k *Keys) []byte {
			return k.out.seal(nil, typeShake, []byte{msgUpdate, 0, 0, 1, 2})
		}},
		{"two KeyUpdates in a record", alertUnexpectedMessage, func(k *Keys) []byte {
			return k.out.seal(nil, typeShake, []byte{msgUpdate, 0, 0, 1, 0, msgUpdate, 0, 0, 1, 0})
		}},
		{"data within a KeyUpdate", alertUnexpectedMessage, func(k *Keys) []byte {
			return k.Seal(k.out.seal(nil, typeShake, []byte{msgUpdate, 0}), []byte("data"))
		}},
		{"close_notify within a KeyUpdate", alertUnexpectedMessage, func(k *Keys) []byte {
			return k.CloseNotify(k.out.seal(nil, typeShake, []byte{msgUpdate}))
		}},
		{"17 KeyUpdates", alertUnexpectedMessage, func(k *Keys) []byte {
			return many(k, maxUseless+1, func(b []byte) []byte { return k.update(b) })
		}},
		{"17 empty records", alertUnexpectedMessage, func(k *Keys) []byte {
			return many(k, maxUseless+1, func(b []byte) []byte { return k.out.seal(b, typeData, nil) })
		}},
		{"17 times user_canceled", alertUnexpectedMessage, func(k *Keys) []byte {
			return many(k, maxUseless+1, func(b []byte) []byte { return k.out.seal(b, typeAlert, []byte{1, alertUserCanceled}) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := keyPair(t, suites[0])
			buf := c.send(client)
			err := openAll(server, buf)
			p, ok := errors.AsType[*ProtocolError](err)
			if !ok || p.Code != c.alert {
				t.Fatalf("got %v, want alert %d", err, c.alert)
			}
			if _, _, again := server.Open(client.Seal(nil, []byte("more"))); again != err {
				t.Errorf("after it, Open returned %v", again)
			}
			_, _, told := client.Open(server.Alert(nil, err))
			if a, ok := errors.AsType[*AlertError](told); !ok || a.Code != c.alert {
				t.Errorf("the alert for it was opened to %v", told)
			}
			if rest := server.Seal(nil, []byte("more")); len(rest) > 0 {
				t.Errorf("%d bytes were sealed after the alert", len(rest))
			}
		})
	}
}

// openAll opens records until an error, or until there is nothing more.
func openAll(k *Keys, buf []byte) error {
	for {
		_, n, err := k.Open(buf)
		if err != nil || n == 0 {
			return err
		}
		buf = buf[n:]
	}
}

func TestOpen_16RecordsWithoutDataAreFine(t *testing.T) {
	client, server := keyPair(t, suites[0])
	for range 3 {
		var buf []byte
		for range maxUseless {
			buf = client.update(buf)
		}
		if got := opened(t, server, client.Seal(buf, []byte("data"))); got != "data" {
			t.Fatalf("opened %q", got)
		}
	}
}

func TestOpen_StripsPadding(t *testing.T) {
	client, server := keyPair(t, suites[0])
	buf := client.out.seal(nil, 0, append([]byte("data\x00"), append([]byte{typeData}, make([]byte, 100)...)...))
	if got := opened(t, server, buf); got != "data\x00" {
		t.Fatalf("opened %q", got)
	}
}

func TestOpen_PeerAlertIsAnAlertErrorAndNotAnswered(t *testing.T) {
	client, server := keyPair(t, suites[0])
	err := openAll(server, client.out.seal(nil, typeAlert, []byte{2, 40}))
	a, ok := errors.AsType[*AlertError](err)
	if !ok || a.Code != 40 || err.Error() != "peer sent alert: tls: handshake failure" {
		t.Fatalf("got %v", err)
	}
	if b := server.Alert(nil, err); len(b) > 0 {
		t.Errorf("it was answered by %x", b)
	}
}

func TestAlert_OtherErrorIsInternalError(t *testing.T) {
	client, server := keyPair(t, suites[0])
	_, _, err := client.Open(server.Alert(nil, io.ErrUnexpectedEOF))
	if a, ok := errors.AsType[*AlertError](err); !ok || a.Code != alertInternalError {
		t.Fatalf("opened to %v", err)
	}
}

func TestSeal_NothingAfterCloseNotify(t *testing.T) {
	client, server := keyPair(t, suites[0])
	if err := openAll(server, client.CloseNotify(nil)); err != io.EOF {
		t.Fatal(err)
	}
	if b := client.Seal(client.CloseNotify(client.Alert(nil, io.ErrUnexpectedEOF)), []byte("more")); len(b) > 0 {
		t.Fatalf("sealed %d bytes", len(b))
	}
}

func TestKeyUpdate_RequestIsAnsweredBeforeTheNextData(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *Keys) {
		before := server.out.secret
		opened(t, server, requestUpdate(client, requestUpdate(client, nil)))
		if got := opened(t, server, client.Seal(nil, []byte("new key"))); got != "new key" {
			t.Fatalf("opened %q", got)
		}
		if server.out.secret != before {
			t.Error("the key changed without a word")
		}
		answer := server.Seal(nil, []byte("answer"))
		plain, n, err := client.Open(answer)
		if plain != nil || n == 0 || err != nil {
			t.Fatalf("the first record was opened to %q, %d, %v; want a KeyUpdate", plain, n, err)
		}
		if got := opened(t, client, answer[n:]); got != "answer" {
			t.Fatalf("opened %q", got)
		}
		// Both requests are answered by the one.
		if got := server.Seal(nil, []byte("x")); len(got) != 1+Overhead {
			t.Errorf("a second KeyUpdate was sent: %d bytes", len(got))
		}
		if client.updateDue.Load() {
			t.Error("the answer asked for another")
		}
	})
}

func TestSeal_RotatesTheKeyBefore16MiRecords(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *Keys) {
		client.out.seq, server.in.seq = rotateAt-1, rotateAt-1
		first := client.out.secret
		for _, text := range []string{"last of the old key", "first of the new key", "second"} {
			if got := opened(t, server, client.Seal(nil, []byte(text))); got != text {
				t.Fatalf("opened %q, want %q", got, text)
			}
		}
		if client.out.secret == first || client.out.seq != 2 {
			t.Fatalf("the key is still the first, or at number %d", client.out.seq)
		}
	})
}

func TestOpen_HandshakeMessagesInAnyFragments(t *testing.T) {
	ticket := append([]byte{msgTicket, 0, 4, 0}, make([]byte, 1024)...)
	messages := append(append([]byte{}, ticket...), ticket...)
	messages = append(messages, msgUpdate, 0, 0, 1, 1)
	for _, size := range []int{1 << 10, 700, 1028, 1030, 5, len(messages)} {
		client, server := keyPair(t, suites[0])
		var buf []byte
		for rest := messages; len(rest) > 0; {
			n := min(size, len(rest))
			buf = server.out.seal(buf, typeShake, rest[:n])
			rest = rest[n:]
			client.useless = 0 // the limit has its own test
			if err := openAll(client, buf); err != nil {
				t.Fatalf("in fragments of %d: %v", size, err)
			}
			buf = buf[:0]
		}
		server.out.update(server.suite)
		if got := opened(t, client, server.Seal(nil, []byte("new key"))); got != "new key" || !client.updateDue.Load() {
			t.Errorf("in fragments of %d: opened %q", size, got)
		}
	}
}

func TestOpen_TicketOfMoreThan64KiBIsRefused(t *testing.T) {
	client, server := keyPair(t, suites[0])
	err := openAll(client, server.out.seal(nil, typeShake, []byte{msgTicket, 1, 0, 1}))
	if p, ok := errors.AsType[*ProtocolError](err); !ok || p.Code != alertDecodeError {
		t.Fatalf("got %v", err)
	}
}

func TestNewKeys_RefusesWhatItDoesNotKnow(t *testing.T) {
	s := make([]byte, 32)
	for _, c := range []struct {
		suite          uint16
		client, server []byte
	}{
		{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, s, s},
		{0x1304, s, s}, // AES-128-CCM, which crypto/tls does not have
		{tls.TLS_AES_128_GCM_SHA256, nil, nil},
		{tls.TLS_AES_128_GCM_SHA256, s, nil},
		{tls.TLS_AES_256_GCM_SHA384, s, s},
	} {
		if _, err := newKeys(c.suite, false, c.client, c.server); err == nil {
			t.Errorf("suite %x with secrets of %d and %d bytes was taken", c.suite, len(c.client), len(c.server))
		}
	}
}

// The figure stands in doc.go; it is there for as long as a tunnel is.
func TestKeys_AreNoLargerThanDocumented(t *testing.T) {
	if n := reflect.TypeFor[Keys]().Size(); n > 216 {
		t.Errorf("%d bytes", n)
	}
}

func TestKeys_SealAndOpenAllocateNothing(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *Keys) {
		data, buf := make([]byte, 1000), make([]byte, 0, 2000)
		if n := testing.AllocsPerRun(100, func() {
			buf = client.Seal(buf[:0], data)
			if _, _, err := server.Open(buf); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
