// MQTTIngress: messages from MQTT brokers, at least once. Its one job is to hand each message to a sink and to
// acknowledge it only after the sink calls it durable. It never decodes a payload, keeps a message, or decides about a
// patient, and no broker or network fault ends it: it reports a state and tries again.
import CMosquitto
import Glibc
import Synchronization

/// A connection to one broker, kept up by one thread of its own until `stop`.
///
/// The gate: libmosquitto queues the PUBACK of a message before its callback runs. With `mosquitto_threaded_set` packets
/// are only queued, and this thread writes them in exactly one place, after `MessageSink.waitUntilDurable` returned true.
/// `mosquitto_loop`, `mosquitto_loop_start` and `mosquitto_loop_forever` would write at other times and are never called.
/// QoS 2 cannot be gated this way (after PUBREC the payload lives in client memory only), so filters are subscribed at
/// QoS 1.
package final class BrokerConnection: Sendable {
  /// What this connection was made with.
  package let configuration: BrokerConfiguration

  private let shared: ConnectionShared
  // The sink is called by the owner thread alone; this reference only carries it there.
  nonisolated(unsafe) private let sink: any MessageSink
  private let jitterSeed: UInt64
  private let thread = Mutex<pthread_t?>(nil)

  /// Nothing happens before `start`.
  ///
  /// - Parameters:
  ///   - jitterSeed: spreads the reconnects of several clients apart; give each its own.
  ///   - onStateChange: called on the connection's thread whenever phase, reason or refused filters change. Must not block.
  /// - Throws: when the configuration cannot work with any broker.
  package init(
    _ configuration: BrokerConfiguration, sink: any MessageSink, jitterSeed: UInt64,
    onStateChange: @escaping @Sendable (ConnectionState) -> Void = { _ in }
  ) throws(BrokerConfigurationError) {
    try configuration.validate()
    self.configuration = configuration
    self.sink = sink
    self.jitterSeed = jitterSeed
    shared = ConnectionShared(onStateChange)
  }

  /// A snapshot of where the connection stands; any thread.
  package var state: ConnectionState { shared.state.withLock { $0 } }

  /// Starts the owner thread. Call once.
  package func start() {
    thread.withLock { slot in
      precondition(slot == nil, "a broker connection is started once")
      let owner = OwnerThread(configuration, sink: sink, shared: shared, jitterSeed: jitterSeed)
      var created = pthread_t()
      let context = Unmanaged.passRetained(owner)
      let code = pthread_create(&created, nil, ownerThreadBody, context.toOpaque())
      precondition(code == 0, "no thread for a broker connection")
      slot = created
    }
  }

  /// Asks for an orderly end: what was read becomes durable and is acknowledged, `offline` is published, DISCONNECT sent.
  /// Returns at once; any thread, any number of times.
  package func stop() { shared.requestStop() }

  /// Waits until the owner thread has ended; the first caller waits, later ones return at once. Not from the sink.
  package func join() {
    let running = thread.withLock { slot in
      defer { slot = nil }
      return slot
    }
    if let running { pthread_join(running, nil) }
  }

  deinit {
    stop()
    join()
  }
}

/// What the owner thread and everybody else share.
final class ConnectionShared: Sendable {
  let state = Mutex(ConnectionState())
  /// Readable once a stop was requested.
  let wake: Int32
  private let stopping = Atomic(false)
  private let onStateChange: @Sendable (ConnectionState) -> Void

  init(_ onStateChange: @escaping @Sendable (ConnectionState) -> Void) {
    self.onStateChange = onStateChange
    wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    precondition(wake >= 0, "no eventfd for a broker connection")
  }

  deinit { close(wake) }

  // Acquire pairs with the release store in requestStop; the eventfd wakes a poll that began before.
  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  func requestStop() {
    stopping.store(true, ordering: .releasing)
    eventfd_write(wake, 1)
  }

  /// Changes the state and tells the observer when it reads differently now.
  func update(_ change: (inout ConnectionState) -> Void) {
    let (before, after) = state.withLock { state in
      let before = state
      change(&state)
      return (before, state)
    }
    if before.line != after.line { onStateChange(after) }
  }

  /// Adds a batch to the counters; never calls the observer.
  func count(messages: Int, bytes: Int, durable: Bool) {
    state.withLock { state in
      state.messages += UInt64(messages)
      state.bytes += UInt64(bytes)
      state.batches += durable ? 1 : 0
    }
  }
}

/// The body of the owner thread: a free function, so that no isolation is inferred for it.
private func ownerThreadBody(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let owner = Unmanaged<OwnerThread>.fromOpaque(context).takeRetainedValue()
  _ = pthread_setname_np(pthread_self(), "mqtt-ingress")
  owner.run()
  return nil
}
