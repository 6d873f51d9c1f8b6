import MQTTIngress
import Synchronization
import TestSupport

/// A message as a test wants to look at it.
struct Recorded: Sendable, Equatable {
  var topic: String
  var payload: String
  var payloadBytes: Int
  var qos: UInt8
  var retained: Bool
  var duplicate: Bool
  var contentType: String?
  var resumedSession: Bool
  var sinceConnect: UInt64
}

/// A sink that remembers everything and calls it durable when the test says so.
final class RecordingSink: MessageSink, Sendable {
  enum Durability: Sendable {
    case promised
    case withheld
    case givenUp
  }

  private struct State {
    var durability: Durability
    var messages: [Recorded] = []
    var waiting = false
  }

  private let state: Mutex<State>

  init(_ durability: Durability = .promised) { state = Mutex(State(durability: durability)) }

  var messages: [Recorded] { state.withLock { $0.messages } }
  var payloads: [String] { messages.map(\.payload) }
  /// Whether the connection is held at the gate.
  var isWaiting: Bool { state.withLock { $0.waiting } }

  func set(_ durability: Durability) { state.withLock { $0.durability = durability } }

  func receive(_ message: borrowing InboundMessage) {
    // Payloads of interest are short; the text of a large one would only cost time.
    let shown = message.payload.count <= 64 ? String(decoding: message.payload, as: UTF8.self) : ""
    let recorded = Recorded(
      topic: String(decoding: message.topic, as: UTF8.self), payload: shown, payloadBytes: message.payload.count,
      qos: message.qos, retained: message.retained, duplicate: message.duplicate,
      contentType: message.contentType.map { String(decoding: $0, as: UTF8.self) },
      resumedSession: message.resumedSession, sinceConnect: message.sinceConnect)
    state.withLock { $0.messages.append(recorded) }
  }

  func waitUntilDurable() -> Bool {
    state.withLock { $0.waiting = true }
    defer { state.withLock { $0.waiting = false } }
    eventually(within: 60) { state.withLock { $0.durability != .withheld } }
    return state.withLock { $0.durability == .promised }
  }
}

/// State lines a connection reported, in order.
final class StateLines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ state: ConnectionState) { lines.withLock { $0.append(state.line) } }
}

extension BrokerConfiguration {
  /// A connection to a test broker that reconnects without making the test wait.
  static func test(
    _ broker: Broker, client: String, filters: [String] = ["vigil/v1/+/+/+"], version: MQTTVersion = .v5
  ) -> BrokerConfiguration {
    var configuration = BrokerConfiguration(host: "127.0.0.1", port: broker.port, clientID: client, filters: filters)
    configuration.protocolVersion = version
    configuration.reconnectFirst = .milliseconds(20)
    configuration.reconnectCap = .milliseconds(200)
    return configuration
  }
}

/// A started connection that has been accepted by its broker.
func connected(_ configuration: BrokerConfiguration, _ sink: RecordingSink) throws -> BrokerConnection {
  let connection = try BrokerConnection(configuration, sink: sink, jitterSeed: 7)
  connection.start()
  guard eventually({ connection.state.phase == .connected }) else {
    throw SupportError.timedOut("connected, but it is: \(connection.state.line)")
  }
  return connection
}

/// A publisher with an identity of its own.
func publisher(_ broker: Broker, _ client: String = "publisher") throws -> MQTTPublisher {
  try MQTTPublisher(.init(host: "127.0.0.1", port: broker.port, clientID: client))
}

extension String {
  /// How often `part` occurs in it.
  func occurrences(of part: String) -> Int { ranges(of: part).count }
}
