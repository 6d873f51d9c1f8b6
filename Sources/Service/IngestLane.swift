import Decoding
import Digests
import Instrumentation
import MQTTIngress
import Pipeline
import RingBufferModule
import Synchronization
import VitalModel

/// What does not fit a slot: it travels as a retained object whose address is in ``Slot/payload``.
final class HeavyItem: Sendable {
  enum Content: Sendable {
    /// `bytes` are the whole payload or the refused part of it: the store keeps a beginning, the size and a digest of all.
    case quarantine(reason: QuarantineReason, observations: Int)
    case event(DeviceAlarm)
    case wave
  }
  let content: Content
  let tenant: String
  let device: String
  let topic: String
  let contentType: String
  let bytes: [UInt8]
  let receivedAt: Int64

  init(
    content: Content, tenant: String, device: String, topic: String, contentType: String, bytes: [UInt8],
    receivedAt: Int64
  ) {
    self.content = content
    self.tenant = tenant
    self.device = device
    self.topic = topic
    self.contentType = contentType
    self.bytes = bytes
    self.receivedAt = receivedAt
  }

  /// Its address, with one reference held by whoever takes it back.
  var retainedAddress: UInt64 { UInt64(UInt(bitPattern: Unmanaged.passRetained(self).toOpaque())) }

  /// Takes back the reference that an address holds.
  static func take(_ address: UInt64) -> HeavyItem? {
    UnsafeMutableRawPointer(bitPattern: UInt(address)).map {
      Unmanaged<HeavyItem>.fromOpaque($0).takeRetainedValue()
    }
  }
}

/// One input on its way to the journal thread: payloads decoded and copied into a ring of its own.
///
/// Owned by the thread that calls ``receive(_:)``. It never decides whether a sample is stored and never blocks but for
/// room in its ring and, at the gate, for the journal.
final class IngestLane: MessageSink {
  /// Slots between ingest and journal, and the room one payload may need (its observations and refusals).
  static let capacity = 65_536
  static let payloadSlotsMax = 24_000

  private let decoder: MessageDecoder
  private let directory: Directory
  private let doorbell: Doorbell
  private let clock: any ServiceClock
  private let usesPayloadIdentity: Bool
  private let registry: VitalRegistry
  private let durable: SequenceObserver
  private let isAbandoned: Abandonment
  private var producer: Ring<Slot>.Producer
  private var topics: TopicMap
  private var routes: [UInt64: Route] = [:]
  private var sources: [SourceText: UInt16] = [:]
  private var patients: [String: UInt32] = [:]
  let meters: LaneMeters
  /// Longest a received payload waits for the rest of its read batch before the journal may have it, milliseconds.
  private let handOverAfter: Int64
  /// Receive time of the first payload the journal cannot see yet; nil: it sees everything.
  private var waitingSince: Int64?

  /// What a topic means, looked up once.
  private struct Route {
    var topic: [UInt8]
    var tenant: String
    var deviceName: String
    var device: UInt32
    var channel: Channel
    var format: PayloadFormat
  }

  init(
    registry: VitalRegistry, directory: Directory, ring: Ring<Slot>, doorbell: Doorbell, clock: any ServiceClock,
    identity: IdentityMode, topics: TopicMap, abandonment: Abandonment, meters: LaneMeters,
    handOverAfter: Int64
  ) throws(RingError) {
    decoder = MessageDecoder(registry: registry)
    self.registry = registry
    self.directory = directory
    self.doorbell = doorbell
    self.clock = clock
    usesPayloadIdentity = identity == .payload
    self.topics = topics
    isAbandoned = abandonment
    self.meters = meters
    self.handOverAfter = handOverAfter
    durable = try ring.observer(of: "journal")
    producer = ring.takeProducer()
  }

  // MARK: MessageSink

  func receive(_ message: borrowing InboundMessage) {
    let arrival = Arrival(
      receivedAt: clock.wallMilliseconds(), retained: message.retained, resumedSession: message.resumedSession,
      redelivered: message.duplicate)
    take(message.topic, message.payload, contentType: message.contentType, arrival)
  }

  /// The gate: publishes what was received and blocks until the journal holds it.
  func waitUntilDurable() -> Bool {
    producer.publish()
    waitingSince = nil
    let wanted = producer.sequence
    if durable.sequence >= wanted { return true }
    doorbell.ring()
    while !isAbandoned.value {
      if durable.waitUntil(sequence: wanted, timeoutNanoseconds: 200_000_000) == .ready { return true }
    }
    return false
  }

  // MARK: Payloads

  /// Takes in one payload. A long read batch is handed to the journal in parts, so that it writes while we read on.
  func take(
    _ topic: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, contentType: UnsafeRawBufferPointer?,
    _ arrival: Arrival
  ) {
    decodeAndStage(topic, payload, contentType: contentType, arrival)
    guard let since = waitingSince else {
      waitingSince = arrival.receivedAt
      return
    }
    guard arrival.receivedAt - since >= handOverAfter else { return }
    waitingSince = nil
    producer.publish()
    doorbell.ring()
  }

  /// Decodes one payload into slots. A payload whose topic nobody can read goes to quarantine whole.
  private func decodeAndStage(
    _ topic: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, contentType: UnsafeRawBufferPointer?,
    _ arrival: Arrival
  ) {
    meters.messages.add(1)
    meters.bytes.add(payload.count)
    makeRoom()
    let hash = stableHash64(topic)
    guard let route = route(topic, hash) else {
      let content = HeavyItem.Content.quarantine(
        reason: .unknownTopic, observations: 1)
      push(heavy(content, Array(payload), nil, topic, contentType, arrival), device: .max, arrival)
      return
    }
    decoder.decode(
      payload, channel: route.channel, contentType: contentType, format: route.format, arrival: arrival)
    switch route.channel {
    case .vitals: stageVitals(route, topic, payload, contentType, arrival, hash)
    case .status: stageStatus(route, arrival)
    case .event: stageEvents(route, topic, contentType, arrival)
    // One that is too long goes to quarantine below and nowhere else.
    case .wave where !decoder.refusals.isEmpty: break
    case .wave:
      push(heavy(.wave, Array(payload), route, topic, contentType, arrival), device: route.device, arrival)
    }
    for refusal in decoder.refusals {
      let content = HeavyItem.Content.quarantine(
        reason: refusal.reason, observations: refusal.observationCount)
      let bytes = refusal.isWholePayload ? Array(payload) : refusal.raw
      push(heavy(content, bytes, route, topic, contentType, arrival), device: route.device, arrival)
    }
  }

  private func stageVitals(
    _ route: Route, _ topic: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer,
    _ contentType: UnsafeRawBufferPointer?, _ arrival: Arrival, _ topicHash: UInt64
  ) {
    var digest: UInt64 = 0
    for observation in decoder.observations {
      var slot = observation.slot(receivedAt: arrival.receivedAt)
      slot.device = route.device
      slot.source = source(observation.source)
      if arrival.redelivered { slot.flags.insert(.redelivered) }
      if slot.flags.contains(.timeReceived), !slot.flags.contains(.hasSequence) {
        if digest == 0 { digest = stableHash64(payload) ^ topicHash }
        slot.deviceSequence = Int64(bitPattern: digest)
      }
      if usesPayloadIdentity, let name = decoder.string(observation.patient) {
        slot.patient = patient(name, tenant: route.tenant)
      }
      producer.stage(slot)
    }
    for pressure in decoder.inconsistentPressures {
      var slot = Slot()
      slot.kind = .control
      slot.code = ControlCode.inconsistentPressure
      slot.device = route.device
      slot.eventTime = pressure.eventTime
      slot.ingestTime = arrival.receivedAt
      if usesPayloadIdentity, let name = decoder.string(pressure.patient) {
        slot.patient = patient(name, tenant: route.tenant)
      }
      producer.stage(slot)
    }
  }

  private func stageStatus(_ route: Route, _ arrival: Arrival) {
    guard let state = decoder.deviceState else { return }
    var slot = Slot()
    slot.kind = .deviceStatus
    slot.device = route.device
    slot.eventTime = state.time
    slot.ingestTime = arrival.receivedAt
    slot.mantissa = state.isOnline ? 1 : 0
    if state.timeReceived { slot.flags.insert(.timeReceived) }
    producer.stage(slot)
  }

  private func stageEvents(
    _ route: Route, _ topic: UnsafeRawBufferPointer, _ contentType: UnsafeRawBufferPointer?, _ arrival: Arrival
  ) {
    for event in decoder.deviceEvents {
      let alarm = DeviceAlarm(event: event.event, hasEnded: event.phase == .end, priority: event.priority ?? .medium)
      let item = heavy(.event(alarm), [], route, topic, contentType, arrival)
      var slot = Slot()
      slot.kind = .payload
      slot.device = route.device
      slot.eventTime = event.time
      slot.ingestTime = arrival.receivedAt
      slot.flags = event.flags
      if usesPayloadIdentity, let name = decoder.string(event.patient) {
        slot.patient = patient(name, tenant: route.tenant)
      }
      slot.payload = item.retainedAddress
      producer.stage(slot)
    }
  }

  private func heavy(
    _ content: HeavyItem.Content, _ bytes: [UInt8], _ route: Route?, _ topic: UnsafeRawBufferPointer,
    _ contentType: UnsafeRawBufferPointer?, _ arrival: Arrival
  ) -> HeavyItem {
    HeavyItem(
      content: content, tenant: route?.tenant ?? "", device: route?.deviceName ?? "",
      topic: String(decoding: topic.prefix(1024), as: UTF8.self),
      contentType: contentType.map { String(decoding: $0.prefix(128), as: UTF8.self) } ?? "", bytes: bytes,
      receivedAt: arrival.receivedAt)
  }

  private func push(_ item: HeavyItem, device: UInt32, _ arrival: Arrival) {
    var slot = Slot()
    slot.kind = .payload
    slot.device = device
    slot.eventTime = arrival.receivedAt
    slot.ingestTime = arrival.receivedAt
    slot.payload = item.retainedAddress
    producer.stage(slot)
  }

  /// Room for the largest payload; a full ring stops reading the socket.
  private func makeRoom() {
    if producer.claim(IngestLane.payloadSlotsMax) >= IngestLane.payloadSlotsMax { return }
    producer.publish()
    doorbell.ring()
    meters.fullWaits.add(1)
    while !isAbandoned.value {
      if producer.waitForRoom(IngestLane.payloadSlotsMax, timeoutNanoseconds: 200_000_000) { return }
    }
  }

  // MARK: Names

  /// Distinct topics remembered at most; beyond it they are looked up anew each time.
  private static let routesMax = 100_000

  private func route(_ topic: UnsafeRawBufferPointer, _ hash: UInt64) -> Route? {
    if let known = routes[hash], known.topic.elementsEqual(topic) { return known }
    guard let match = topics.match(topic), let channel = Channel(rawValue: channelNumber(match.channel)) else {
      return nil
    }
    let device = directory.device(tenant: match.tenant, device: match.device)
    let route = Route(
      topic: Array(topic), tenant: match.tenant, deviceName: match.device, device: device, channel: channel,
      format: format(match))
    if routes.count < IngestLane.routesMax { routes[hash] = route }
    return route
  }

  private func channelNumber(_ channel: TopicChannel) -> UInt8 {
    switch channel {
    case .vitals: Channel.vitals.rawValue
    case .status: Channel.status.rawValue
    case .event: Channel.event.rawValue
    case .wave: Channel.wave.rawValue
    }
  }

  private func format(_ match: TopicMatch) -> PayloadFormat {
    switch match.format {
    case .number:
      guard let name = match.code, let found = registry.lookup(name) else { return .automatic }
      return .number(code: found.code, unit: UInt8(clamping: max(0, found.unit)))
    case .text: return .text
    case .senml: return .senml
    case .json: return .automatic
    }
  }

  private func source(_ text: SourceText) -> UInt16 {
    if text.isEmpty { return 0 }
    if let known = sources[text] { return known }
    let number = directory.source(text.string)
    sources[text] = number
    return number
  }

  private func patient(_ name: String, tenant: String) -> UInt32 {
    let key = tenant + "\u{1F}" + name
    if let known = patients[key] { return known }
    let number = directory.patient(tenant: tenant, patient: name)
    if patients.count < IngestLane.routesMax { patients[key] = number }
    return number
  }
}

/// A lane that several threads may use, one at a time.
final class GuardedLane: @unchecked Sendable {
  // Unchecked: the lane is only touched with the lock held.
  private let lane: IngestLane
  private let lock = Mutex(())
  init(_ lane: IngestLane) { self.lane = lane }
  func withLane<R>(_ body: (IngestLane) -> R) -> R { lock.withLock { _ in body(lane) } }
}

/// Numbers of control slots: `Slot.code` of a slot of kind ``SlotKind/control``.
enum ControlCode {
  static let clockOffset = VitalCode(index: 1)
  static let inconsistentPressure = VitalCode(index: 2)
}

/// Tells threads blocked on a stalled stage that the service is giving up: nothing more will be acknowledged.
final class Abandonment: Sendable {
  private let flag = Atomic(false)
  var value: Bool { flag.load(ordering: .acquiring) }
  func declare() { flag.store(true, ordering: .releasing) }
}

/// One lane's counters.
struct LaneMeters: Sendable {
  let messages: Counter
  let bytes: Counter
  let fullWaits: Counter
}
