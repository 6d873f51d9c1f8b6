import VitalModel

/// Decodes payloads one after another; each ``decode(_:channel:contentType:format:arrival:)`` replaces what the one before
/// it found.
///
/// One per ingest thread. All buffers are reused: an ordinary native message is decoded without an allocation as long as
/// the caller keeps no copy of the arrays over the next call. A new registry needs a new decoder.
///
/// The books of one payload balance: ``observationsSeen`` = accepted + covered by refusals; an observation whose value is
/// `null` is neither, and is counted in ``emptyObservations``.
package final class MessageDecoder {
  /// The channel of the payload decoded last.
  package private(set) var kind = Channel.vitals
  /// The accepted observations, in the payload's order; the last one of each message carries
  /// ``SampleFlags/endOfMessage``.
  package internal(set) var observations: [DecodedObservation] = []
  /// What was not accepted.
  package internal(set) var refusals: [Refusal] = []
  /// Pairs refused as `inconsistent`: each is one technical matter for the engine, if it is the patient's newest pressure.
  package internal(set) var inconsistentPressures: [InconsistentPressure] = []
  /// What the status channel said, if anything.
  package internal(set) var deviceState: DeviceState?
  /// What the event channel said.
  package internal(set) var deviceEvents: [DeviceEvent] = []
  /// Observations of known codes without a value (`null`): a device's way to say "no measurement".
  package internal(set) var emptyObservations = 0
  /// Texts that ``TextRange`` points into.
  package internal(set) var text: [UInt8] = []

  let names: NameTable
  let vitals: VitalTable
  let reader = JSONReader()

  /// Where each accepted observation came from: its token, and for SenML the base fields in force.
  var origins: [Origin] = []
  /// Observations looked at, accepted or not, for ``DecodingLimits/observationCountMax``.
  var attempted = 0
  /// The pressures among the observations of the message at hand.
  var pressureRoles: UInt8 = 0
  var pressureIndices: [Int] = []
  var baseHistory: [SenMLBase] = []
  var nameScratch: [UInt8] = []
  var arrival = Arrival(receivedAt: 0)

  struct Origin {
    var token: Int
    var context: Int
  }

  package init(registry: VitalRegistry) {
    names = NameTable(registry)
    vitals = VitalTable(registry)
  }

  /// Accepted observations plus those covered by refusals: what the payload adds to "in".
  package var observationsSeen: Int {
    refusals.reduce(observations.count) { $0 + $1.observationCount }
  }

  /// The bytes of `range`, valid inside `body` only.
  package func withText<R>(_ range: TextRange, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    text.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[Int(range.offset)..<Int(range.offset) + Int(range.count)]))
    }
  }

  /// The text of `range`; nil if it is empty.
  package func string(_ range: TextRange) -> String? {
    range.isEmpty ? nil : withText(range) { String(decoding: $0, as: UTF8.self) }
  }

  /// Decodes one payload; the results are in the properties until the next call. Never fails: what cannot be accepted is a
  /// refusal.
  ///
  /// - Parameter contentType: the MQTT 5 content type, if any.
  package func decode(
    _ payload: UnsafeRawBufferPointer, channel: Channel, contentType: UnsafeRawBufferPointer? = nil,
    format: PayloadFormat = .automatic, arrival: Arrival
  ) {
    reset(channel, arrival)
    guard payload.count <= DecodingLimits.payloadBytesMax else {
      return refusePayload(payload, .oversize)
    }
    switch channel {
    case .vitals: decodeVitals(payload, contentType: contentType, format: format)
    case .status: decodeStatus(payload)
    case .event: decodeEvents(payload, format: format)
    case .wave: break
    }
  }

  private func reset(_ channel: Channel, _ arrival: Arrival) {
    kind = channel
    self.arrival = arrival
    deviceState = nil
    attempted = 0
    emptyObservations = 0
    observations.removeAll(keepingCapacity: true)
    origins.removeAll(keepingCapacity: true)
    if !refusals.isEmpty { refusals.removeAll(keepingCapacity: true) }
    if !inconsistentPressures.isEmpty { inconsistentPressures.removeAll(keepingCapacity: true) }
    if !deviceEvents.isEmpty { deviceEvents.removeAll(keepingCapacity: true) }
    if !text.isEmpty { text.removeAll(keepingCapacity: true) }
    if !baseHistory.isEmpty { baseHistory.removeAll(keepingCapacity: true) }
  }

  private func decodeVitals(
    _ payload: UnsafeRawBufferPointer, contentType: UnsafeRawBufferPointer?, format: PayloadFormat
  ) {
    switch format {
    case .number(let code, let unit): return decodeNumber(payload, code: code, unit: unit)
    case .text: return refusePayload(payload, .malformed)
    case .automatic, .json, .senml: break
    }
    guard let tape = reader.read(payload) else { return refusePayload(payload, .malformed) }
    if isSenML(tape, contentType, format) {
      decodeSenML(tape, payload)
    } else {
      decodeNative(tape)
    }
  }

  private func isSenML(_ tape: JSONTape, _ contentType: UnsafeRawBufferPointer?, _ format: PayloadFormat) -> Bool {
    switch format {
    case .senml: return true
    case .automatic:
      if let contentType, !contentType.isEmpty, isSenMLType(contentType) { return true }
      return hasSenMLShape(tape)
    default: return false
    }
  }

  private func isSenMLType(_ contentType: UnsafeRawBufferPointer) -> Bool {
    let end = contentType.firstIndex(of: UInt8(ascii: ";")) ?? contentType.count
    return UnsafeRawBufferPointer(rebasing: contentType[..<end]).trimmed.isWordIgnoringCase("application/senml+json")
  }

  /// Refuses the payload as a whole.
  func refusePayload(_ payload: UnsafeRawBufferPointer, _ reason: QuarantineReason, code: VitalCode? = nil) {
    let kept = reason == .oversize ? payload.prefix(DecodingLimits.oversizeBytesKept) : payload[...]
    refusals.append(
      Refusal(reason: reason, observationCount: 1, raw: Array(kept), isWholePayload: true, code: code))
  }

  func refuse(_ reason: QuarantineReason, count: Int = 1, code: VitalCode? = nil, raw: [UInt8]) {
    refusals.append(
      Refusal(reason: reason, observationCount: max(1, count), raw: raw, isWholePayload: false, code: code))
  }

  /// Keeps a text for as long as the results live.
  func keep(_ bytes: UnsafeRawBufferPointer) -> TextRange {
    var range = TextRange()
    range.offset = UInt32(text.count)
    range.count = UInt32(bytes.count)
    text.append(contentsOf: bytes)
    return range
  }
}
