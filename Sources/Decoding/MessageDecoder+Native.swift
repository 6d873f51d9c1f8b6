import VitalModel

/// The values of one native object, by token; 0: not there.
struct NativeMembers {
  var sequence = 0
  var time = 0
  var observations = 0
  var code = 0
  var value = 0
  var unit = 0
  var quality = 0
  var source = 0
  var status = 0
  var corrected = 0
  var simulated = 0
  var patient = 0
}

extension MessageDecoder {
  /// One message, or an array of messages.
  func decodeNative(_ tape: JSONTape) {
    guard tape.isKind(0, .array) else { return decodeMessage(tape, 0) }
    var element = 1
    let end = tape.next(0)
    while element < end {
      if attempted >= DecodingLimits.observationCountMax {
        return refuseRestOfBatch(tape, from: element)
      }
      decodeMessage(tape, element)
      element = tape.next(element)
    }
  }

  private func decodeMessage(_ tape: JSONTape, _ index: Int) {
    guard let members = nativeMembers(tape, index) else { return refuseMessage(tape, index, .malformed) }
    let isLong = members.observations != 0
    let hasOwnValue = members.code != 0 || members.value != 0 || members.unit != 0
    if isLong, hasOwnValue || !tape.isKind(members.observations, .array) {
      return refuseMessage(tape, index, .malformed)
    }
    var header = MessageHeader()
    if let reason = resolve(members, tape, into: &header) {
      return refuseMessage(tape, index, reason, count: isLong ? count(tape, members) : 1)
    }
    let start = observations.count
    pressureRoles = 0
    if isLong {
      decodeObservations(tape, members, header)
    } else {
      attempted += 1
      let outcome = decodeObservation(tape, members, header, origin: Origin(token: index, context: 0))
      if case .refused(let reason, let code) = outcome { refuseMessage(tape, index, reason, code: code, attempts: 0) }
    }
    finishMessage(from: start) { origin in
      isLong ? self.wrap(tape, members, observation: origin.token) : Array(tape.raw(index))
    }
  }

  private func decodeObservations(_ tape: JSONTape, _ members: NativeMembers, _ common: MessageHeader) {
    var element = members.observations + 1
    let end = tape.next(members.observations)
    while element < end {
      if attempted >= DecodingLimits.observationCountMax {
        let count = tape.elementCount(from: element, of: members.observations)
        let rest = tape.rawRest(from: element, of: members.observations)
        return refuse(.oversize, count: count, raw: wrap(tape, members, rest: rest))
      }
      attempted += 1
      if case .refused(let reason, let code) = decodeElement(tape, element, common) {
        refuse(reason, code: code, raw: wrap(tape, members, observation: element))
      }
      element = tape.next(element)
    }
  }

  private func decodeElement(_ tape: JSONTape, _ element: Int, _ common: MessageHeader) -> ObservationOutcome {
    // Identity is the message's: an observation that names another patient must not be filed under the first.
    guard let members = nativeMembers(tape, element), members.observations == 0, members.patient == 0 else {
      return .refused(.malformed, nil)
    }
    var header = common
    if let reason = resolve(members, tape, into: &header) { return .refused(reason, nil) }
    return decodeObservation(tape, members, header, origin: Origin(token: element, context: 0))
  }

  private func decodeObservation(
    _ tape: JSONTape, _ members: NativeMembers, _ header: MessageHeader, origin: Origin
  ) -> ObservationOutcome {
    guard members.code != 0, let name = codeName(tape, members.code) else { return .refused(.malformed, nil) }
    guard let meaning = names.lookup(name) else { return .refused(.unknownCode, nil) }
    let code = meaning.code
    if members.value == 0 || tape.isKind(members.value, .null) {
      // Without a status, a missing value is a mistake; `null` is a device's way to say "nothing measured".
      if members.value == 0, header.status == .ok { return .refused(.malformed, code) }
      emptyObservations += 1
      return .empty
    }
    var unit = meaning.unit < 0 ? 0 : UInt8(clamping: Int(meaning.unit))
    if isPresent(tape, members.unit) {
      guard let name = shortText(tape, members.unit) else { return .refused(.malformed, code) }
      guard let number = vitals.unit(name, of: code) else { return .refused(.unknownUnit, code) }
      unit = number
    }
    switch value(tape, members.value, unit: unit, code: code, source: header.source) {
    case .refused(let reason): return .refused(reason, code)
    case .value(let value): return accept(value, unit: unit, code: code, header: header, origin: origin)
    }
  }

  /// A code's text; a number's digits are looked up as they stand (an MDC number).
  private func codeName(_ tape: JSONTape, _ index: Int) -> UnsafeRawBufferPointer? {
    if tape.isKind(index, .number) { return tape.bytes(index) }
    if let text = shortText(tape, index) { return text }
    // A name too long to be looked up is still a name.
    return tape.isKind(index, .string) ? UnsafeRawBufferPointer(rebasing: tape.bytes(index)[..<0]) : nil
  }

  /// Reads what an object says about time, sequence, source, status, quality and identity.
  private func resolve(
    _ members: NativeMembers, _ tape: JSONTape, into header: inout MessageHeader
  ) -> QuarantineReason? {
    if isPresent(tape, members.sequence) {
      guard let number = number(tape, members.sequence)?.integer, number >= 0 else { return .malformed }
      header.sequence = number
      header.flags.insert(.hasSequence)
    }
    if isPresent(tape, members.source) {
      guard let text = shortText(tape, members.source), let source = SourceText(text) else { return .malformed }
      header.source = source
    }
    if isPresent(tape, members.status) {
      guard let status = status(tape, members.status) else { return .malformed }
      header.status = status
    }
    if isPresent(tape, members.quality) {
      guard let quality = quality(tape, members.quality) else { return .malformed }
      header.quality = quality
    }
    guard resolve(members.corrected, tape, .corrected, &header.flags),
      resolve(members.simulated, tape, .simulated, &header.flags)
    else { return .malformed }
    if isPresent(tape, members.patient) {
      guard let patient = patient(tape, members.patient) else { return .malformed }
      header.patient = patient
    }
    if isPresent(tape, members.time) {
      switch time(tape, members.time) {
      case .refused(let reason): return reason
      case .at(let milliseconds):
        header.eventTime = milliseconds
        header.isTimed = true
      }
    }
    return nil
  }

  private func resolve(_ member: Int, _ tape: JSONTape, _ flag: SampleFlags, _ flags: inout SampleFlags) -> Bool {
    guard isPresent(tape, member) else { return true }
    guard let isSet = boolean(tape, member) else { return false }
    if isSet { flags.insert(flag) } else { flags.remove(flag) }
    return true
  }

  /// The known members of an object; nil if it is none, or a known key is there twice.
  private func nativeMembers(_ tape: JSONTape, _ object: Int) -> NativeMembers? {
    guard tape.isKind(object, .object) else { return nil }
    var members = NativeMembers()
    var key = object + 1
    let end = tape.next(object)
    while key < end {
      let value = key + 1
      if let name = reader.string(tape, key, limit: 128), !assign(name, value, &members) { return nil }
      key = tape.next(value)
    }
    return members
  }

  @inline(__always)
  private func assign(_ name: UnsafeRawBufferPointer, _ value: Int, _ members: inout NativeMembers) -> Bool {
    func set(_ member: inout Int) -> Bool {
      defer { member = value }
      return member == 0
    }
    switch name.count {
    case 3 where name.isWord("seq"): return set(&members.sequence)
    case 4 where name.isWord("code"): return set(&members.code)
    case 4 where name.isWord("time"): return set(&members.time)
    case 4 where name.isWord("unit"): return set(&members.unit)
    case 5 where name.isWord("value"): return set(&members.value)
    case 6 where name.isWord("source"): return set(&members.source)
    case 6 where name.isWord("status"): return set(&members.status)
    case 7 where name.isWord("quality"): return set(&members.quality)
    case 7 where name.isWord("patient"): return set(&members.patient)
    case 9 where name.isWord("corrected"): return set(&members.corrected)
    case 9 where name.isWord("simulated"): return set(&members.simulated)
    case 12 where name.isWord("observations"): return set(&members.observations)
    default: return true
    }
  }

  private func count(_ tape: JSONTape, _ members: NativeMembers) -> Int {
    tape.elementCount(from: members.observations + 1, of: members.observations)
  }

  private func refuseMessage(
    _ tape: JSONTape, _ index: Int, _ reason: QuarantineReason, count: Int = 1, code: VitalCode? = nil,
    attempts: Int = 1
  ) {
    attempted += attempts
    refuse(reason, count: count, code: code, raw: alone(tape, index))
  }

  /// An element of a batch as a payload; one that is no object stays in an array, where it is refused again.
  func alone(_ tape: JSONTape, _ index: Int) -> [UInt8] {
    let raw = tape.raw(index)
    return tape.isKind(index, .object) ? Array(raw) : Array("[".utf8) + raw + Array("]".utf8)
  }

  private func refuseRestOfBatch(_ tape: JSONTape, from first: Int) {
    var count = 0
    var element = first
    let end = tape.next(0)
    while element < end {
      let members = nativeMembers(tape, element)
      let isLong = members.map { $0.observations != 0 && tape.isKind($0.observations, .array) } ?? false
      count += isLong ? members.map { self.count(tape, $0) } ?? 1 : 1
      element = tape.next(element)
    }
    refuse(.oversize, count: count, raw: [UInt8(ascii: "[")] + Array(tape.rawRest(from: first, of: 0)))
  }

  /// One observation as a message of its own, with all its message says about it.
  private func wrap(_ tape: JSONTape, _ members: NativeMembers, observation: Int) -> [UInt8] {
    var raw = opened(tape, members)
    raw += tape.raw(observation)
    raw += "]}".utf8
    return raw
  }

  private func wrap(_ tape: JSONTape, _ members: NativeMembers, rest: UnsafeRawBufferPointer) -> [UInt8] {
    var raw = opened(tape, members)
    raw += rest
    raw += "}".utf8
    return raw
  }

  /// Known members only: their lengths are bounded, so that many refusals cannot multiply one long member.
  private func opened(_ tape: JSONTape, _ members: NativeMembers) -> [UInt8] {
    var raw = Array("{".utf8)
    let fields: [(String, Int)] = [
      ("seq", members.sequence), ("time", members.time), ("source", members.source), ("status", members.status),
      ("quality", members.quality), ("corrected", members.corrected), ("simulated", members.simulated),
      ("patient", members.patient),
    ]
    for (name, value) in fields where value != 0 {
      raw += "\"\(name)\":".utf8
      raw += tape.raw(value)
      raw += ",".utf8
    }
    raw += "\"observations\":[".utf8
    return raw
  }
}
