# frozen_string_literal: true

# The soak's client on Bunny. See the README.

require "bunny"

URL, ID, DEAD = ENV.values_at("SOAK_URL", "SOAK_ID", "SOAK_DEAD")
QUEUES = ENV.fetch("SOAK_QUEUES").split(",")
RATE = Float(ENV.fetch("SOAK_RATE"))

def say(line) = $stdout.syswrite("@#{line}\n")
def micros = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
def size(number) = (number % 997).zero? ? 150_000 : 40 + number * 7919 % 4000
def body(number) = "#{ID} #{number} #{micros} ".ljust(size(number), "x")

$over = false
Thread.new do
  $stdin.read
  $over = true
end

def publish(connection, number)
  channel = connection.create_channel
  # With the tag of the channel: what was published before it has other tags.
  open = {}
  lock = Mutex.new
  answered = lambda do |tag, multiple, nack|
    lock.synchronize do
      tags = multiple ? open.keys.select { |each| each <= tag } : [tag]
      tags.each do |each|
        found = open.delete(each)
        say(nack ? "n #{found}" : "c #{found} #{found}") if found
      end
    end
  end
  channel.confirm_select(answered)
  exchange = channel.default_exchange
  until $over || !connection.open?
    number[0] += 1
    lock.synchronize { open[channel.next_publish_seq_no] = number[0] }
    exchange.publish(body(number[0]), routing_key: QUEUES[number[0] % QUEUES.size], persistent: true)
    sleep(1 / RATE)
    sleep(0.01) while open.size > 500 && connection.open?
  end
  sleep(0.01) until open.empty? || !connection.open?
end

def consume(connection, _number)
  channel = connection.create_channel
  channel.prefetch(50)
  (QUEUES + [DEAD]).each do |name|
    channel.queue(name, passive: true).subscribe(manual_ack: true) do |info, _properties, text|
      publisher, n, sent = text[0, 60].split(" ").first(3).map(&:to_i)
      length = "#{publisher} #{n} #{sent} ".size
      same = text.bytesize == [size(n), length].max && text.byteslice(length..).delete("x").empty?
      say("! #{publisher} #{n} is another one, of #{text.bytesize} octets") unless same
      if n % 50 == 7 && info.routing_key != DEAD
        channel.reject(info.delivery_tag, false)
      elsif n % 50 == 8 && !info.redelivered?
        channel.nack(info.delivery_tag, false, true)
      else
        say("d #{publisher} #{n} #{info.redelivered? ? 1 : 0} #{[micros - sent, 0].max}")
        channel.ack(info.delivery_tag)
      end
    end
  end
  sleep(0.1) until $over || !connection.open?
end

# Bunny raises what its threads meet in the main one, wherever that is; what it does meets it soon.
class Quiet
  def raise(*) = nil
end

number = [0]
again = false
until $over
  begin
    options = { automatically_recover: false, connection_timeout: 5, heartbeat: 10, log_level: :fatal,
                recover_from_connection_close: false, continuation_timeout: 15_000,
                session_error_handler: Quiet.new }
    connection = Bunny.new(URL, **options).tap(&:start)
    say("r") if again
    again = true
    ARGV[0] == "publish" ? publish(connection, number) : consume(connection, number)
    connection.close(false) if connection.open?
  rescue StandardError => error
    warn("#{error.class}: #{error.message}")
    sleep(0.3)
  end
end
