import VitalModel

/// The members of one device event, by token; 0: not there.
private struct EventMembers {
  var sequence = 0
  var time = 0
  var event = 0
  var phase = 0
  var priority = 0
  var deviceAlertID = 0
  var text = 0
  var patient = 0
  var simulated = 0
}

extension MessageDecoder {
  /// One device event or an array of them; as plain text, the event's key alone.
  func decodeEvents(_ payload: UnsafeRawBufferPointer, format: PayloadFormat) {
    if format == .text { return decodePlainEvent(payload) }
    guard let tape = reader.read(payload) else { return refusePayload(payload, .malformed) }
    guard tape.isKind(0, .array) else { return decodeEvent(tape, 0) }
    var element = 1
    while element < tape.next(0) {
      if deviceEvents.count + refusals.count >= DecodingLimits.eventCountMax {
        let raw = [UInt8(ascii: "[")] + Array(tape.rawRest(from: element, of: 0))
        return refuse(.oversize, count: tape.elementCount(from: element, of: 0), raw: raw)
      }
      decodeEvent(tape, element)
      element = tape.next(element)
    }
  }

  private func decodePlainEvent(_ payload: UnsafeRawBufferPointer) {
    let key = payload.trimmed
    guard (1...128).contains(key.count), key.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), JSONReader.isUTF8(key) else {
      return refusePayload(payload, .malformed)
    }
    if arrival.retained { return refusePayload(payload, .timelessRetained) }
    deviceEvents.append(
      DeviceEvent(
        event: String(decoding: key, as: UTF8.self), phase: .start, priority: nil, deviceAlertID: nil, text: nil,
        time: arrival.receivedAt, flags: timelessFlags(), sequence: 0, patient: TextRange()))
  }

  private func timelessFlags() -> SampleFlags {
    var flags: SampleFlags = .timeReceived
    if arrival.resumedSession { flags.insert(.uncertain) }
    if arrival.redelivered { flags.insert(.redelivered) }
    return flags
  }

  private func decodeEvent(_ tape: JSONTape, _ index: Int) {
    if let reason = acceptEvent(tape, index) { refuse(reason, raw: alone(tape, index)) }
  }

  /// - Returns: why it cannot be accepted, or nil.
  private func acceptEvent(_ tape: JSONTape, _ index: Int) -> QuarantineReason? {
    guard let members = eventMembers(tape, index), let key = eventKey(tape, members.event),
      let phase = phase(tape, members.phase)
    else { return .malformed }
    var event = DeviceEvent(
      event: key, phase: phase, priority: priority(tape, members.priority),
      deviceAlertID: identifier(tape, members.deviceAlertID), text: alarmText(tape, members.text),
      time: arrival.receivedAt, flags: timelessFlags(), sequence: 0, patient: TextRange())
    if isPresent(tape, members.sequence) {
      guard let number = number(tape, members.sequence)?.integer, number >= 0 else { return .malformed }
      event.sequence = number
      event.flags.insert(.hasSequence)
    }
    if isPresent(tape, members.patient) {
      guard let patient = patient(tape, members.patient) else { return .malformed }
      event.patient = patient
    }
    if isPresent(tape, members.simulated) {
      guard let isSet = boolean(tape, members.simulated) else { return .malformed }
      if isSet { event.flags.insert(.simulated) }
    }
    if isPresent(tape, members.time) {
      guard case .at(let milliseconds) = time(tape, members.time) else {
        if case .refused(let reason) = time(tape, members.time) { return reason }
        return .malformed
      }
      event.time = milliseconds
      event.flags.subtract([.timeReceived, .uncertain])
    } else if arrival.retained {
      return .timelessRetained
    }
    deviceEvents.append(event)
    return nil
  }

  private func eventKey(_ tape: JSONTape, _ index: Int) -> String? {
    guard index != 0, let key = identifier(tape, index) else { return nil }
    return key
  }

  /// A text or number of 1...128 bytes without control characters.
  private func identifier(_ tape: JSONTape, _ index: Int) -> String? {
    guard index != 0, let text = tape.isKind(index, .number) ? tape.bytes(index) : shortText(tape, index),
      (1...128).contains(text.count), text.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    return String(decoding: text, as: UTF8.self)
  }

  private func phase(_ tape: JSONTape, _ index: Int) -> DeviceEvent.Phase? {
    guard isPresent(tape, index) else { return .start }
    guard let text = shortText(tape, index) else { return nil }
    return text.isWord("start") ? .start : text.isWord("end") ? .end : nil
  }

  private func priority(_ tape: JSONTape, _ index: Int) -> Priority? {
    guard index != 0, let text = shortText(tape, index) else { return nil }
    return Priority(text: String(decoding: text, as: UTF8.self))
  }

  private func alarmText(_ tape: JSONTape, _ index: Int) -> String? {
    guard index != 0, let text = reader.string(tape, index, limit: DecodingLimits.payloadBytesMax) else { return nil }
    return freeText(text)
  }

  private func eventMembers(_ tape: JSONTape, _ object: Int) -> EventMembers? {
    guard tape.isKind(object, .object) else { return nil }
    var members = EventMembers()
    var key = object + 1
    let end = tape.next(object)
    while key < end {
      let value = key + 1
      if let name = reader.string(tape, key, limit: 128), !assign(name, value, &members) { return nil }
      key = tape.next(value)
    }
    return members
  }

  private func assign(_ name: UnsafeRawBufferPointer, _ value: Int, _ members: inout EventMembers) -> Bool {
    func set(_ member: inout Int) -> Bool {
      defer { member = value }
      return member == 0
    }
    if name.isWord("seq") { return set(&members.sequence) }
    if name.isWord("time") { return set(&members.time) }
    if name.isWord("event") { return set(&members.event) }
    if name.isWord("phase") { return set(&members.phase) }
    if name.isWord("priority") { return set(&members.priority) }
    if name.isWord("device_alert_id") { return set(&members.deviceAlertID) }
    if name.isWord("text") { return set(&members.text) }
    if name.isWord("patient") { return set(&members.patient) }
    if name.isWord("simulated") { return set(&members.simulated) }
    return true
  }
}
