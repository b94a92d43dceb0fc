package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	headerLen  = 5
	tagLen     = 16          // of every AEAD of TLS 1.3
	maxPlain   = 16 << 10    // RFC 8446 §5.1
	maxSealed  = 16384 + 256 // RFC 8446 §5.2
	maxSecret  = sha512.Size384
	nonceLen   = 12
	protected  = 23 // the outer type of every record after the handshake
	typeAlert  = 21
	typeShake  = 22
	typeData   = 23
	msgTicket  = 4
	msgUpdate  = 24
	maxUseless = 16 // as in crypto/tls
)

// MaxRecord is the length of the largest record that may be received, header
// included (RFC 8446 §5.2). A buffer of this size can always make progress.
const MaxRecord = headerLen + maxSealed

// Overhead is what sealing adds to the content of one record: header, content
// type and tag.
const Overhead = headerLen + 1 + tagLen

// Keys seals and opens the records of one connection. It does no I/O and holds
// no buffer: it is all that an idle connection needs beside its socket.
//
// Open is for one goroutine at a time, and so are Seal, CloseNotify and Alert
// together; the two groups may run at the same time.
type Keys struct {
	in, out half
	inErr   error // the first of Open, returned from then on

	suite   uint16
	client  bool  // we are the client
	done    bool  // our close_notify or alert was sealed: nothing may follow it
	useless uint8 // records in a row without data

	// A message between two records: how many bytes of head are there, and how
	// many of a ticket are still to be dropped.
	headLen uint8
	head    [5]byte
	skip    uint32

	// updateDue is set by Open when the peer has asked for a KeyUpdate, and
	// taken by Seal (RFC 8446 §4.6.3).
	updateDue atomic.Bool
}

// A half is the keys of one direction.
type half struct {
	aead   cipher.AEAD // nil while it rests: see ready
	seq    uint64      // of the next record
	iv     [nonceLen]byte
	suite  uint16
	secret [maxSecret]byte // the first bytes, as many as the suite's hash has
}

// newKeys makes the keys of a connection of which nothing was read or written
// yet under its application traffic secrets.
func newKeys(suite uint16, client bool, clientSecret, serverSecret []byte) (*Keys, error) {
	k := &Keys{suite: suite, client: client}
	in, out := clientSecret, serverSecret
	if client {
		in, out = out, in
	}
	if err := k.in.start(suite, in); err != nil {
		return nil, err
	}
	if err := k.out.start(suite, out); err != nil {
		return nil, err
	}
	return k, nil
}

// start takes a traffic secret into use.
func (h *half) start(suite uint16, secret []byte) error {
	if size := hashSize(suite); size == 0 || len(secret) != size {
		return fmt.Errorf("a secret of %d bytes does not fit cipher suite %s", len(secret), tls.CipherSuiteName(suite))
	}
	iv, err := expandLabel(suite, secret, "iv", nonceLen)
	if err != nil {
		return err
	}
	copy(h.iv[:], iv)
	copy(h.secret[:], secret)
	h.suite, h.seq = suite, 0
	return h.expand()
}

// expand makes the AEAD of the secret.
func (h *half) expand() error {
	keyLen := 32
	if h.suite == tls.TLS_AES_128_GCM_SHA256 {
		keyLen = 16
	}
	key, err := expandLabel(h.suite, h.secret[:hashSize(h.suite)], "key", keyLen)
	if err != nil {
		return err
	}
	defer clear(key)
	h.aead, err = newAEAD(h.suite, key)
	return err
}

// ready is the AEAD, made anew if it was dropped.
func (h *half) ready() cipher.AEAD {
	if h.aead == nil {
		if err := h.expand(); err != nil {
			// The same calls with the same input have made it before.
			panic("record: traffic key: " + err.Error())
		}
	}
	return h.aead
}

// Rest drops the expanded keys, which are most of what Keys hold, for a
// connection that is going to be idle for long: 1.5 KiB in the case of AES-GCM.
// The next record in each direction makes them anew from the traffic secret,
// which costs a few microseconds. Nothing else may use k at the same time.
func (k *Keys) Rest() { k.in.aead, k.out.aead = nil, nil }

// update replaces the key by the next one (RFC 8446 §7.2).
func (h *half) update(suite uint16) {
	secret, err := expandLabel(suite, h.secret[:hashSize(suite)], "traffic upd", hashSize(suite))
	if err == nil {
		err = h.start(suite, secret)
		clear(secret)
	}
	if err != nil {
		// The same calls with the same sizes have made the first key, and no
		// input can change their outcome.
		panic("record: next traffic key: " + err.Error())
	}
}

// open opens a whole record and appends its inner plaintext to dst, which may
// be the record's own body, emptied. The nonce is made in the place of the iv,
// as one of its own would be one more allocation or 12 more bytes.
func (h *half) open(dst, record []byte) ([]byte, error) {
	h.mask()
	inner, err := h.ready().Open(dst, h.iv[:], record[headerLen:], record[:headerLen])
	h.mask()
	if err == nil {
		h.seq++
	}
	return inner, err
}

// mask turns the iv into the nonce of the next record, and back (RFC 8446 §5.3).
func (h *half) mask() {
	b := h.iv[nonceLen-8:]
	binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^h.seq)
}

// hashSize is that of the suite's hash, 0 for suites that are not of TLS 1.3.
func hashSize(suite uint16) int {
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256:
		return sha256.Size
	case tls.TLS_AES_256_GCM_SHA384:
		return sha512.Size384
	}
	return 0
}

func newAEAD(suite uint16, key []byte) (cipher.AEAD, error) {
	if suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
func expandLabel(suite uint16, secret []byte, label string, n int) ([]byte, error) {
	var h func() hash.Hash = sha256.New
	if suite == tls.TLS_AES_256_GCM_SHA384 {
		h = sha512.New384
	}
	label = "tls13 " + label
	info := string([]byte{byte(n >> 8), byte(n), byte(len(label))}) + label + "\x00"
	return hkdf.Expand(h, secret, info, n)
}
