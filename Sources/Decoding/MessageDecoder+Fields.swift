import VitalModel

/// What the observations of a message have in common, unless one of them says otherwise.
struct MessageHeader {
  var sequence: Int64 = 0
  var eventTime: Int64 = 0
  /// The device named a time.
  var isTimed = false
  /// Without one: milliseconds from receive time (SenML only).
  var relativeTime: Int64 = 0
  var flags: SampleFlags = []
  var status = SampleStatus.ok
  var quality = SampleQuality.absent
  var source = SourceText()
  var patient = TextRange()
}

/// One way to end the look at an observation.
enum ObservationOutcome {
  case accepted
  case empty
  case refused(QuarantineReason, VitalCode?)
}

enum TimeReading {
  case at(Int64)
  case refused(QuarantineReason)
}

extension MessageDecoder {
  /// Whether an optional member is there: `null` counts as left out.
  func isPresent(_ tape: JSONTape, _ index: Int) -> Bool { index != 0 && !tape.isKind(index, .null) }

  /// The number at a token exactly as it stands there.
  func number(_ tape: JSONTape, _ index: Int) -> DecimalValue? {
    guard tape.isKind(index, .number) else { return nil }
    let bytes = tape.bytes(index)
    return bytes.count <= DecodingLimits.numberBytesMax ? DecimalValue(ascii: bytes) : nil
  }

  func shortText(_ tape: JSONTape, _ index: Int) -> UnsafeRawBufferPointer? {
    reader.string(tape, index, limit: DecodingLimits.shortTextBytesMax)
  }

  func boolean(_ tape: JSONTape, _ index: Int) -> Bool? {
    tape.isKind(index, .yes) ? true : tape.isKind(index, .no) ? false : nil
  }

  /// A time: RFC 3339 text with offset, milliseconds since 1970, or seconds if the number is below 10^11.
  func time(_ tape: JSONTape, _ index: Int) -> TimeReading {
    if tape.isKind(index, .string) {
      guard let text = shortText(tape, index), text.count <= 64 else { return .refused(.malformed) }
      return MessageDecoder.time(text: text)
    }
    guard let number = number(tape, index) else { return .refused(.malformed) }
    let isSeconds = abs(number.double) < 1e11
    // Whole milliseconds only: a fraction of one means the sender meant something else.
    if !isSeconds, number.exponent < 0, number.integer == nil { return .refused(.malformed) }
    guard let milliseconds = number.floored(times: isSeconds ? 3 : 0), Timestamp.accepted.contains(milliseconds) else {
      return .refused(.impossibleTime)
    }
    return .at(milliseconds)
  }

  static func time(text: UnsafeRawBufferPointer) -> TimeReading {
    if let milliseconds = Timestamp.parse(text) { return .at(milliseconds) }
    // A well-formed date of an impossible year is told apart from text that is no date.
    guard text.count >= 20 else { return .refused(.malformed) }
    var year = 0
    for byte in text[..<4] {
      guard byte >= 48, byte <= 57 else { return .refused(.malformed) }
      year = year * 10 + Int(byte) - 48
    }
    guard year <= 1900 || year >= 2199 else { return .refused(.malformed) }
    var copy = Array(text)
    copy.replaceSubrange(0..<4, with: Array("2000".utf8))
    let isDate = copy.withUnsafeBytes { Timestamp.parse($0) } != nil
    return .refused(isDate ? .impossibleTime : .malformed)
  }

  /// 0...1, or nil.
  func quality(_ tape: JSONTape, _ index: Int) -> SampleQuality? {
    // The exact number is compared: 1.00001 would round to a valid quality.
    guard let number = number(tape, index), number.mantissa >= 0, let hundredMillionths = number.ceiled(times: 8),
      hundredMillionths <= 100_000_000
    else { return nil }
    return SampleQuality(number)
  }

  func status(_ tape: JSONTape, _ index: Int) -> SampleStatus? {
    guard let text = shortText(tape, index) else { return nil }
    if text.isWord("ok") { return .ok }
    if text.isWord("lead-off") { return .leadOff }
    if text.isWord("artifact") { return .artifact }
    if text.isWord("searching") { return .searching }
    if text.isWord("calibrating") { return .calibrating }
    if text.isWord("low-battery") { return .lowBattery }
    return nil
  }

  /// A patient identifier: 1...128 bytes without control characters.
  func patient(_ tape: JSONTape, _ index: Int) -> TextRange? {
    guard let text = shortText(tape, index), (1...DecodingLimits.patientBytesMax).contains(text.count),
      text.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    return keep(text)
  }

  /// Appends one observation of a known vital if its value, its unit and its time allow it.
  func accept(
    _ value: DecimalValue, unit: UInt8, code: VitalCode, header: MessageHeader, origin: Origin
  ) -> ObservationOutcome {
    var flags = header.flags
    var eventTime = header.eventTime
    if !header.isTimed {
      if arrival.retained { return .refused(.timelessRetained, code) }
      eventTime = arrival.receivedAt + header.relativeTime
      flags.insert(.timeReceived)
      if arrival.resumedSession { flags.insert(.uncertain) }
    }
    if arrival.redelivered { flags.insert(.redelivered) }
    observations.append(
      DecodedObservation(
        code: code, unit: unit, status: header.status, flags: flags, quality: header.quality, value: value,
        eventTime: eventTime, sequence: header.sequence, source: header.source, patient: header.patient))
    origins.append(origin)
    pressureRoles |= vitals.pressureRole(code).rawValue
    return .accepted
  }

  /// The number or letter of a value as text or number token.
  enum ValueReading {
    case value(DecimalValue)
    case refused(QuarantineReason)
  }

  func value(_ tape: JSONTape, _ index: Int, unit: UInt8, code: VitalCode, source: SourceText) -> ValueReading {
    if let number = number(tape, index) {
      // A bare number for a vital sent as letters could be anybody's numbering.
      if vitals.hasLetters(code) { return .refused(.malformed) }
      let isCredible = vitals.isCredible(number, unit: unit, of: code, source: source)
      return isCredible ? .value(number) : .refused(.impossibleValue)
    }
    guard let text = shortText(tape, index) else { return .refused(.malformed) }
    return letterValue(text, code: code)
  }

  func letterValue(_ text: UnsafeRawBufferPointer, code: VitalCode) -> ValueReading {
    if vitals.hasLetters(code) {
      return vitals.letter(text, of: code).map { .value(DecimalValue(mantissa: $0)) } ?? .refused(.impossibleValue)
    }
    // A glucose sensor's "below/above my range" is a censored value, not a number.
    let isCensored =
      text.isWordIgnoringCase("low") || text.isWordIgnoringCase("high")
      || text.isWordIgnoringCase("lo") || text.isWordIgnoringCase("hi")
    return .refused(isCensored ? .impossibleValue : .malformed)
  }
}

extension DecimalValue {
  /// ceil(self x 10^`power`), or nil if it does not fit 64 bits.
  func ceiled(times power: Int) -> Int64? {
    DecimalValue(mantissa: -mantissa, exponent: exponent).floored(times: power).map { -$0 }
  }
}
