import CMosquitto
import Glibc

/// What the thread of one broker connection does from start to stop. Used by that thread alone.
final class OwnerThread {
  /// How one connection attempt ended.
  enum Ending {
    /// `stop` was asked for and carried out.
    case stopped
    /// The sink could not promise durability: nothing was acknowledged.
    case abandoned
    /// It never came about, or broke; nil time when it never came about.
    case lost(ConnectionPhase, String, connectedFor: Duration?)
  }

  /// How long `offline` and DISCONNECT may take to be written.
  private static let farewellLimit: Int64 = 2_000_000_000
  /// libmosquitto does not say what a TLS handshake waits for, so it is asked this often.
  private static let handshakeTick: Int32 = 10

  private let configuration: BrokerConfiguration
  private let sink: any MessageSink
  private let shared: ConnectionShared
  private var schedule: ReconnectSchedule
  private var connectedBefore = false

  init(_ configuration: BrokerConfiguration, sink: any MessageSink, shared: ConnectionShared, jitterSeed: UInt64) {
    self.configuration = configuration
    self.sink = sink
    self.shared = shared
    schedule = ReconnectSchedule(
      first: configuration.reconnectFirst, cap: configuration.reconnectCap, seed: jitterSeed)
  }

  /// Connects, serves and reconnects until a stop is asked for or the sink gives up.
  func run() {
    while !shared.isStopping {
      switch attempt() {
      case .stopped: break
      case .abandoned:
        finish("not durable: what was not acknowledged stays with the broker")
        return
      case .lost(let phase, let reason, let connectedFor):
        shared.update {
          $0.phase = phase
          $0.reason = reason
          $0.subscribed = false
          $0.refusedFilters = []
        }
        pause(schedule.pause(connectedFor: connectedFor))
      }
    }
    finish("")
  }

  private func finish(_ reason: String) {
    shared.update {
      $0.phase = .stopped
      $0.reason = reason
      $0.subscribed = false
      $0.refusedFilters = []
    }
  }

  /// Waits, but no longer than until a stop is asked for.
  private func pause(_ duration: Duration) {
    let deadline = monotonicNanoseconds() + duration.nanoseconds
    while !shared.isStopping {
      let left = deadline - monotonicNanoseconds()
      guard left > 0 else { return }
      var wake = pollfd(fd: shared.wake, events: Int16(POLLIN), revents: 0)
      poll(&wake, 1, Int32(clamping: left / 1_000_000 + 1))
    }
  }

  /// Tries every route to the broker once, until one answers in any way.
  private func attempt() -> Ending {
    let routes: [BrokerRoute]
    do {
      routes = try BrokerRoute.routes(host: configuration.host, tls: configuration.tls != nil)
    } catch {
      return .lost(.unreachable, error.reason, connectedFor: nil)
    }
    var last = Ending.lost(.unreachable, "no address for the host", connectedFor: nil)
    for route in routes where !shared.isStopping {
      last = serve(route)
      guard case .lost(.unreachable, _, connectedFor: nil) = last else { return last }
    }
    return shared.isStopping ? .stopped : last
  }

  // MARK: - One connection

  private func serve(_ route: BrokerRoute) -> Ending {
    let session: BrokerSession
    do {
      session = try BrokerSession(configuration, sink: sink)
    } catch {
      return .lost(error.isTLS ? .tlsFailed : .unreachable, error.reason, connectedFor: nil)
    }
    let began = monotonicNanoseconds()
    errno = 0
    let code = session.connect(route)
    let system = errno
    if code > 0 { return loss(session, code, system, since: nil) }
    // Over TLS the library writes at once and takes the reason of an instant refusal off the socket.
    let instantRefusal = system == ECONNREFUSED ? system : 0

    var acceptedAt: Int64?
    var moreWaiting = false
    var subscribeTold = false
    while true {
      let events = wait(session, moreWaiting: moreWaiting)
      if shared.isStopping { return farewell(session) }
      let broken = session.accepted ? nil : breakage(session, events)

      let reads = shouldRead(session, events, moreWaiting)
      let read = reads ? session.readBatch() : (code: 0, system: 0)
      moreWaiting = reads && session.isBatchFull && read.code == 0
      guard settle(session) else { return .abandoned }
      if read.code != 0, broken ?? 0 == 0 { return loss(session, read.code, read.system, since: acceptedAt) }
      if !session.accepted {
        if let broken { return loss(session, MOSQ_ERR_ERRNO.code, broken == 0 ? instantRefusal : broken, since: nil) }
        if let ending = overdue(began) { return ending }
      }
      if reads, !moreWaiting { session.noteEmptied() }

      if session.accepted, acceptedAt == nil {
        acceptedAt = monotonicNanoseconds()
        welcome(session)
      }
      report(session, &subscribeTold)
      if session.socket < 0 { return loss(session, MOSQ_ERR_CONN_LOST.code, 0, since: acceptedAt) }

      let alive = session.keepAlive()
      if alive != 0 { return loss(session, alive, 0, since: acceptedAt) }
      // The one place where acknowledgements leave: everything read is durable here.
      if session.wantsWrite {
        let written = session.write()
        if written.code != 0 { return loss(session, written.code, written.system, since: acceptedAt) }
      }
      session.quietLogWhenIdle()
    }
  }

  private func isHandshaking(_ session: BrokerSession) -> Bool { configuration.tls != nil && !session.accepted }

  /// Waits for the socket, a stop, or the next tick. Returns what the socket is ready for.
  private func wait(_ session: BrokerSession, moreWaiting: Bool) -> Int16 {
    var timeout: Int32 = session.accepted ? 1000 : 250
    if session.drain.isActive { timeout = SessionDrain.quietMilliseconds }
    if isHandshaking(session) { timeout = Self.handshakeTick }
    if moreWaiting { timeout = 0 }
    var events = Int16(POLLIN)
    // During the handshake the library keeps asking to write; it is called at every tick instead.
    if session.wantsWrite, !isHandshaking(session) { events |= Int16(POLLOUT) }
    var descriptors = (
      pollfd(fd: session.socket, events: events, revents: 0),
      pollfd(fd: shared.wake, events: Int16(POLLIN), revents: 0)
    )
    let ready = withUnsafeMutableBytes(of: &descriptors) { raw in
      poll(raw.baseAddress?.assumingMemoryBound(to: pollfd.self), 2, timeout)
    }
    if ready == 0, !moreWaiting { session.noteQuiet() }
    return ready > 0 ? descriptors.0.revents : 0
  }

  private func shouldRead(_ session: BrokerSession, _ events: Int16, _ moreWaiting: Bool) -> Bool {
    // With TLS data may be waiting decrypted where poll cannot see it, so every round asks.
    if moreWaiting || configuration.tls != nil { return true }
    return events & ~Int16(POLLOUT) != 0
  }

  /// The socket's own error when it broke before the broker accepted us, 0 when it was closed without one, else nil.
  ///
  /// Judged only after a last read: a TLS alert or CONNACK that says why may still be waiting.
  private func breakage(_ session: BrokerSession, _ events: Int16) -> Int32? {
    guard events & Int16(POLLERR | POLLHUP) != 0 else { return nil }
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(session.socket, SOL_SOCKET, SO_ERROR, &code, &length)
    return code
  }

  /// The end of an attempt the broker does not answer.
  private func overdue(_ began: Int64) -> Ending? {
    guard monotonicNanoseconds() - began > configuration.connectTimeout.nanoseconds else { return nil }
    return .lost(.unreachable, "no answer within \(configuration.connectTimeout.milliseconds) ms", connectedFor: nil)
  }

  /// Waits for the durability of what was read. False: leave without writing.
  private func settle(_ session: BrokerSession) -> Bool {
    guard session.unsettled > 0 else { return true }
    let durable = sink.waitUntilDurable()
    shared.count(messages: session.batchMessages, bytes: session.batchBytes, durable: durable)
    if durable { session.settled() }
    return durable
  }

  /// Queues what belongs behind every CONNACK, also of a resumed session: filters may have changed since.
  private func welcome(_ session: BrokerSession) {
    // Filters were validated and the socket is open; what the broker thinks of them comes with its SUBACK.
    _ = session.subscribe()
    session.announce(BrokerSession.online)
    let again = connectedBefore
    connectedBefore = true
    shared.update {
      $0.phase = .connected
      $0.reason = ""
      $0.sessionPresent = session.sessionPresent
      $0.subscribed = false
      $0.refusedFilters = []
      $0.reconnects += again ? 1 : 0
      $0.lastConnectedMilliseconds = wallMilliseconds()
    }
  }

  /// Tells what the SUBACK said, once per connection.
  private func report(_ session: BrokerSession, _ told: inout Bool) {
    guard session.subscribed, !told else { return }
    told = true
    shared.update {
      $0.subscribed = true
      $0.refusedFilters = session.refusedFilters
    }
  }

  private func loss(_ session: BrokerSession, _ code: Int32, _ system: Int32, since: Int64?) -> Ending {
    let connectedFor = since.map { Duration.nanoseconds(monotonicNanoseconds() - $0) }
    if let refusal = session.refusal { return .lost(.refused, refusal, connectedFor: nil) }
    if let tls = session.tlsFailure(code, system: system) { return .lost(.tlsFailed, tls, connectedFor: nil) }
    if let farewell = session.farewell {
      return .lost(.unreachable, "the broker ended the connection: \(farewell)", connectedFor: connectedFor)
    }
    return .lost(.unreachable, Library.failure(code, system: system), connectedFor: connectedFor)
  }

  /// The orderly end: acknowledge what is durable, say `offline`, DISCONNECT.
  private func farewell(_ session: BrokerSession) -> Ending {
    guard session.accepted else { return .stopped }
    guard settle(session) else { return .abandoned }
    session.announce(BrokerSession.offline)
    session.disconnect()
    // The library closes the socket behind DISCONNECT. With bytes from the broker still unread the kernel would then reset
    // the connection, and the broker lose what it had not read yet: our last acknowledgements. A second descriptor
    // keeps it open until the broker has closed its side.
    let kept = dup(session.socket)
    let deadline = monotonicNanoseconds() + Self.farewellLimit
    while session.socket >= 0, monotonicNanoseconds() < deadline {
      if session.write().code != 0 { break }
      if session.socket >= 0 { waitFor(session.socket, Int16(POLLOUT), until: deadline) }
    }
    if kept >= 0 { drainAndClose(kept, until: deadline) }
    return .stopped
  }

  /// Reads and drops until the broker closes; what is dropped was never acknowledged and stays with the broker.
  private func drainAndClose(_ descriptor: Int32, until deadline: Int64) {
    defer { close(descriptor) }
    withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
      while monotonicNanoseconds() < deadline {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count == 0 { return }
        if count < 0, errno != EAGAIN, errno != EINTR { return }
        if count < 0 { waitFor(descriptor, Int16(POLLIN), until: deadline) }
      }
    }
  }

  private func waitFor(_ descriptor: Int32, _ events: Int16, until deadline: Int64) {
    var ready = pollfd(fd: descriptor, events: events, revents: 0)
    poll(&ready, 1, Int32(clamping: max(0, deadline - monotonicNanoseconds()) / 1_000_000 + 1))
  }
}
