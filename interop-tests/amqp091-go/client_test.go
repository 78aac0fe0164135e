// Package client has what users of amqp091-go rely on, through its own calls.
package client

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 15 * time.Second

// must ends a test that can't go on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %#v, not %#v", what, got, want)
	}
}

// next is what comes next, or a failure when nothing does.
func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case found := <-from:
		return found
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

func connect(t *testing.T) *amqp.Connection {
	t.Helper()
	url := os.Getenv("LEPUS_URL")
	if url == "" {
		t.Fatal("LEPUS_URL is not set, e.g. LEPUS_URL=amqp://guest:guest@127.0.0.1:5672")
	}
	connection, err := amqp.Dial(url)
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func open(t *testing.T, connection *amqp.Connection) *amqp.Channel {
	t.Helper()
	channel, err := connection.Channel()
	must(t, err)
	return channel
}

// withQueue is a channel, and a queue that ends with its connection.
func withQueue(t *testing.T, arguments amqp.Table) (*amqp.Connection, *amqp.Channel, string) {
	t.Helper()
	connection := connect(t)
	channel := open(t, connection)
	queue, err := channel.QueueDeclare("", false, false, true, false, arguments)
	must(t, err)
	return connection, channel, queue.Name
}

func publish(t *testing.T, channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	t.Helper()
	must(t, channel.PublishWithContext(context.Background(), exchange, key, false, false, message))
}

func consume(t *testing.T, channel *amqp.Channel, queue string) <-chan amqp.Delivery {
	t.Helper()
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	must(t, err)
	return deliveries
}

func text(body string) amqp.Publishing {
	return amqp.Publishing{Body: []byte(body)}
}

func ready(t *testing.T, channel *amqp.Channel, queue string) int {
	t.Helper()
	found, err := channel.QueueInspect(queue)
	must(t, err)
	return found.Messages
}

func TestConfirmsOneByOneAndDeferred(t *testing.T) {
	_, channel, queue := withQueue(t, nil)
	must(t, channel.Confirm(false))
	for number := 1; number <= 500; number++ {
		confirm, err := channel.PublishWithDeferredConfirmWithContext(
			context.Background(), "", queue, false, false, text(fmt.Sprint(number)))
		must(t, err)
		equal(t, "tag", confirm.DeliveryTag, uint64(number))
		if number%100 == 0 && !confirm.Wait() {
			t.Fatalf("message %d was refused", number)
		}
	}
	equal(t, "ready", ready(t, channel, queue), 500)
}

func TestConsumeAckNackAndReject(t *testing.T) {
	_, channel, queue := withQueue(t, nil)
	must(t, channel.Qos(2, 0, false))
	for _, body := range []string{"a", "b", "c"} {
		publish(t, channel, "", queue, text(body))
	}
	deliveries := consume(t, channel, queue)
	first, second := next(t, "delivery", deliveries), next(t, "delivery", deliveries)
	equal(t, "bodies", string(first.Body)+string(second.Body), "ab")
	select {
	case third := <-deliveries:
		t.Fatalf("%q came beyond the prefetch", third.Body)
	case <-time.After(50 * time.Millisecond):
	}
	must(t, second.Nack(false, true))
	again := next(t, "delivery", deliveries)
	equal(t, "again", []any{string(again.Body), again.Redelivered}, []any{"b", true})
	must(t, first.Ack(false))
	must(t, again.Reject(false))
	last := next(t, "delivery", deliveries)
	must(t, last.Ack(false))
	equal(t, "ready", ready(t, channel, queue), 0)
}

func TestReturnsComeBeforeTheirConfirms(t *testing.T) {
	_, channel, _ := withQueue(t, nil)
	must(t, channel.Confirm(false))
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	must(t, channel.PublishWithContext(context.Background(), "", "nobody", true, false, text("back")))
	equal(t, "confirm", next(t, "confirm", confirms), amqp.Confirmation{DeliveryTag: 1, Ack: true})
	returned := next(t, "return", returns)
	equal(t, "return", []any{returned.ReplyCode, returned.ReplyText, string(returned.Body)},
		[]any{uint16(amqp.NoRoute), "NO_ROUTE", "back"})
}

func TestAnErrorClosesItsChannelOnly(t *testing.T) {
	connection, channel, queue := withQueue(t, nil)
	other := open(t, connection)
	closed := other.NotifyClose(make(chan *amqp.Error, 1))
	_, err := other.QueueInspect("no such queue")
	wanted := "NOT_FOUND - no queue 'no such queue' in vhost '/'"
	for _, found := range []error{err, next(t, "end of the channel", closed)} {
		reply := found.(*amqp.Error)
		equal(t, "error", []any{reply.Code, reply.Reason, reply.Recover}, []any{amqp.NotFound, wanted, true})
	}
	equal(t, "the other channel", ready(t, channel, queue), 0)
}

func TestCancelledByTheBroker(t *testing.T) {
	_, channel, queue := withQueue(t, nil)
	cancels := channel.NotifyCancel(make(chan string, 1))
	deliveries, err := channel.Consume(queue, "mine", false, false, false, false, nil)
	must(t, err)
	_, err = channel.QueueDelete(queue, false, false, false)
	must(t, err)
	equal(t, "tag", next(t, "cancel", cancels), "mine")
	if _, is := <-deliveries; is {
		t.Fatal("a delivery of a queue that is gone")
	}
}

func TestTransactions(t *testing.T) {
	connection, channel, queue := withQueue(t, nil)
	writer := open(t, connection)
	must(t, writer.Tx())
	publish(t, writer, "", queue, text("rolled back"))
	must(t, writer.TxRollback())
	publish(t, writer, "", queue, text("committed"))
	must(t, writer.TxCommit())
	got, is, err := channel.Get(queue, true)
	must(t, err)
	equal(t, "got", []any{is, string(got.Body), got.MessageCount}, []any{true, "committed", uint32(0)})
}

func TestDeadLettersAndExchanges(t *testing.T) {
	connection, channel, dead := withQueue(t, nil)
	must(t, channel.ExchangeDeclare("go.topic", "topic", false, true, false, false, nil))
	must(t, channel.QueueBind(dead, "dead.#", "go.topic", false, nil))
	arguments := amqp.Table{"x-dead-letter-exchange": "go.topic", "x-dead-letter-routing-key": "dead.letter"}
	source, err := open(t, connection).QueueDeclare("", false, false, true, false, arguments)
	must(t, err)
	publish(t, channel, "", source.Name, text("doomed"))
	must(t, next(t, "delivery", consume(t, channel, source.Name)).Reject(false))
	letter := next(t, "dead letter", consume(t, channel, dead))
	must(t, letter.Ack(false))
	death := letter.Headers["x-death"].([]any)[0].(amqp.Table)
	equal(t, "death", []any{death["reason"], death["queue"], death["count"]}, []any{"rejected", source.Name, int64(1)})
}

func TestPropertiesHeadersAndSizes(t *testing.T) {
	_, channel, queue := withQueue(t, nil)
	sent := amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Priority: 5,
		CorrelationId: "c", ReplyTo: "r", Expiration: "600000", MessageId: "m", Timestamp: time.Unix(1_700_000_000, 0),
		Type: "t", UserId: "guest", AppId: "a", Body: bytes.Repeat([]byte("0123456789abcdef"), 1<<16),
		Headers: amqp.Table{
			"text": "räksmörgås", "yes": true, "byte": byte(200), "short": int16(-3000), "int": int32(-70000),
			"long": int64(1) << 40, "float": float32(1.5), "double": 3.25, "nothing": nil,
			"decimal": amqp.Decimal{Scale: 2, Value: 314}, "time": time.Unix(1_709_209_845, 0),
			"octets": []byte{0, 255}, "table": amqp.Table{"inner": amqp.Table{"deep": "er"}},
			"list": []any{int32(1), "two", nil, []any{3.5}},
		},
	}
	publish(t, channel, "", queue, sent)
	got := next(t, "delivery", consume(t, channel, queue))
	must(t, got.Ack(false))
	equal(t, "message", amqp.Publishing{
		ContentType: got.ContentType, ContentEncoding: got.ContentEncoding, DeliveryMode: got.DeliveryMode,
		Priority: got.Priority, CorrelationId: got.CorrelationId, ReplyTo: got.ReplyTo, Expiration: got.Expiration,
		MessageId: got.MessageId, Timestamp: got.Timestamp.Local(), Type: got.Type, UserId: got.UserId, AppId: got.AppId,
		Body: got.Body, Headers: got.Headers,
	}, sent)
}

func TestBrokerIntroducesItselfAndClosesCleanly(t *testing.T) {
	connection := connect(t)
	capabilities := connection.Properties["capabilities"].(amqp.Table)
	for _, name := range []string{"publisher_confirms", "basic.nack", "consumer_cancel_notify", "connection.blocked"} {
		equal(t, name, capabilities[name], true)
	}
	closed := connection.NotifyClose(make(chan *amqp.Error, 1))
	must(t, connection.Close())
	if err := next(t, "end", closed); err != nil {
		t.Fatal(err)
	}
}
