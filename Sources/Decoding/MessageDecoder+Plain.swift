import VitalModel

extension MessageDecoder {
  /// A bare number (or letter) of one vital, measured when it was received.
  func decodeNumber(_ payload: UnsafeRawBufferPointer, code: VitalCode, unit: UInt8) {
    let text = payload.trimmed
    var header = MessageHeader()
    header.isTimed = false
    pressureRoles = 0
    attempted += 1
    let reading = plainValue(text, code: code, unit: unit)
    switch reading {
    case .refused(let reason): return refusePayload(payload, reason, code: code)
    case .value(let value):
      let outcome = accept(value, unit: unit, code: code, header: header, origin: Origin(token: 0, context: 0))
      if case .refused(let reason, let code) = outcome { return refusePayload(payload, reason, code: code) }
    }
    finishMessage(from: 0) { _ in Array(payload) }
  }

  private func plainValue(_ text: UnsafeRawBufferPointer, code: VitalCode, unit: UInt8) -> ValueReading {
    guard !vitals.hasLetters(code) else { return letterValue(unquoted(text), code: code) }
    guard text.count <= DecodingLimits.numberBytesMax else { return .refused(.malformed) }
    guard let value = DecimalValue(ascii: text) else { return letterValue(unquoted(text), code: code) }
    return vitals.isCredible(value, unit: unit, of: code, source: SourceText())
      ? .value(value) : .refused(.impossibleValue)
  }

  private func unquoted(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard text.count >= 2, text.first == UInt8(ascii: "\""), text.last == UInt8(ascii: "\"") else { return text }
    return UnsafeRawBufferPointer(rebasing: text[1..<text.count - 1])
  }

  /// `{"online":bool}`, `online`, `offline`, or a last will's text, which means offline.
  ///
  /// An empty payload is how MQTT clears a retained state, and says nothing.
  func decodeStatus(_ payload: UnsafeRawBufferPointer) {
    let text = payload.trimmed
    guard let first = text.first else { return }
    guard JSONReader.isUTF8(payload) else { return refusePayload(payload, .malformed) }
    if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
      guard let tape = reader.read(payload), let state = state(tape) else { return refusePayload(payload, .malformed) }
      deviceState = state
      return
    }
    let word = unquoted(text)
    let isOnline = word.isWordIgnoringCase("online")
    let isPlain = isOnline || word.isWordIgnoringCase("offline")
    deviceState = DeviceState(
      isOnline: isOnline, text: isPlain ? nil : freeText(word), time: arrival.receivedAt, timeReceived: true)
  }

  private func state(_ tape: JSONTape) -> DeviceState? {
    guard tape.isKind(0, .object) else { return nil }
    var online = 0
    var moment = 0
    var key = 1
    while key < tape.next(0) {
      let value = key + 1
      if let name = reader.string(tape, key, limit: 128) {
        if name.isWord("online") {
          guard online == 0 else { return nil }
          online = value
        } else if name.isWord("time") {
          guard moment == 0 else { return nil }
          moment = value
        }
      }
      key = tape.next(value)
    }
    guard online != 0, let isOnline = boolean(tape, online) else { return nil }
    guard isPresent(tape, moment) else {
      return DeviceState(isOnline: isOnline, text: nil, time: arrival.receivedAt, timeReceived: true)
    }
    guard case .at(let milliseconds) = time(tape, moment) else { return nil }
    return DeviceState(isOnline: isOnline, text: nil, time: milliseconds, timeReceived: false)
  }

  /// At most ``DecodingLimits/freeTextBytesMax`` bytes of valid UTF-8, cut between characters.
  func freeText(_ bytes: UnsafeRawBufferPointer) -> String {
    var end = min(bytes.count, DecodingLimits.freeTextBytesMax)
    while end > 0, end < bytes.count, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return String(decoding: bytes[..<end], as: UTF8.self)
  }
}
