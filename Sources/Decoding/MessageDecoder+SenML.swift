import VitalModel

/// The base fields in force (RFC 8428 section 4.1), by token; 0: none.
struct SenMLBase {
  var name = 0
  var time = 0
  var unit = 0
  var value = 0
  var sum = 0
  var version = 0
}

/// The fields of one record, by token; 0: not there.
struct SenMLRecord {
  var base = SenMLBase()
  var name = 0
  var unit = 0
  var value = 0
  var textValue = 0
  var booleanValue = 0
  var dataValue = 0
  var sum = 0
  var time = 0
  var hasDuplicate = false
  /// A field ends in `_`: whoever does not know it must not use the record.
  var mustBeUnderstood = false

  var setsBase: Bool { base.name | base.time | base.unit | base.value | base.sum | base.version != 0 }
  var hasOnlyBase: Bool { name | unit | value | textValue | booleanValue | dataValue | sum | time == 0 }
}

/// A run of records with one time: one message.
private struct SenMLRun {
  var start: Int
  var time: Int64
}

extension MessageDecoder {
  /// The newest SenML version we read.
  private static let versionMax: Int64 = 10
  /// A time below 2^28 seconds is relative to now (RFC 8428 section 4.5.3).
  private static let relativeBelow: Int64 = (1 << 28) * 1000

  /// An array whose first object has SenML's field names and none of ours.
  func hasSenMLShape(_ tape: JSONTape) -> Bool {
    guard tape.isKind(0, .array), tape.next(0) > 1, tape.isKind(1, .object) else { return false }
    var looksLikeSenML = false
    var key = 2
    while key < tape.next(1) {
      if let name = reader.string(tape, key, limit: 128) {
        if name.isWord("code") || name.isWord("observations") || name.isWord("value") { return false }
        switch name.count {
        case 1: looksLikeSenML = looksLikeSenML || name.isWord("n") || name.isWord("v")
        case 2:
          looksLikeSenML =
            looksLikeSenML || name.isWord("bn") || name.isWord("bt") || name.isWord("bu") || name.isWord("bv")
            || name.isWord("bs") || name.isWord("vs") || name.isWord("vb") || name.isWord("vd")
        default: looksLikeSenML = looksLikeSenML || name.isWord("bver")
        }
      }
      key = tape.next(key + 1)
    }
    return looksLikeSenML
  }

  /// A SenML pack: base fields are resolved first; adjacent records of one time are one message.
  func decodeSenML(_ tape: JSONTape, _ payload: UnsafeRawBufferPointer) {
    guard tape.isKind(0, .array) else { return refusePayload(payload, .malformed) }
    var base = SenMLBase()
    baseHistory.append(base)
    var run: SenMLRun?
    pressureRoles = 0
    var element = 1
    let end = tape.next(0)
    while element < end {
      if attempted >= DecodingLimits.observationCountMax {
        refuseRest(tape, from: element, .oversize)
        break
      }
      attempted += 1
      let record = senMLRecord(tape, element)
      if let record, record.setsBase {
        // A base field nobody can read would give every later record a wrong name or time.
        guard !record.hasDuplicate, update(&base, with: record, tape) else {
          refuseRest(tape, from: element, .malformed)
          break
        }
        baseHistory.append(base)
      }
      let outcome = decodeRecord(tape, element, record, base, &run)
      if case .refused(let reason, let code) = outcome {
        refuse(reason, code: code, raw: wrapRecord(tape, Origin(token: element, context: baseHistory.count - 1)))
      }
      element = tape.next(element)
    }
    finish(run, tape)
  }

  private func finish(_ run: SenMLRun?, _ tape: JSONTape) {
    guard let run else { return }
    finishMessage(from: run.start) { origin in self.wrapRecord(tape, origin) }
  }

  private func decodeRecord(
    _ tape: JSONTape, _ element: Int, _ record: SenMLRecord?, _ base: SenMLBase, _ run: inout SenMLRun?
  ) -> ObservationOutcome {
    guard let record, !record.hasDuplicate, !record.mustBeUnderstood else { return .refused(.malformed, nil) }
    if record.hasOnlyBase { return record.setsBase ? .empty : .refused(.malformed, nil) }
    if base.version != 0, (number(tape, base.version)?.integer ?? .max) > MessageDecoder.versionMax {
      return .refused(.malformed, nil)
    }
    let values = [record.value, record.textValue, record.booleanValue, record.dataValue].count { $0 != 0 }
    guard values == 1 else { return .refused(.malformed, nil) }
    var header = MessageHeader()
    if let reason = resolveTime(record, base, tape, into: &header) { return .refused(reason, nil) }
    let time = header.isTimed ? header.eventTime : arrival.receivedAt + header.relativeTime
    if run?.time != time {
      finish(run, tape)
      run = SenMLRun(start: observations.count, time: time)
    }
    guard let name = recordName(record, base, tape) else { return .refused(.malformed, nil) }
    switch name {
    case .online: return setState(tape, record.booleanValue, header)
    case .unknown: return .refused(.unknownCode, nil)
    case .vital(let meaning):
      let origin = Origin(token: element, context: baseHistory.count - 1)
      return decodeValue(tape, record, base, meaning, header, origin)
    }
  }

  private func decodeValue(
    _ tape: JSONTape, _ record: SenMLRecord, _ base: SenMLBase, _ meaning: NameTable.Meaning, _ header: MessageHeader,
    _ origin: Origin
  ) -> ObservationOutcome {
    let code = meaning.code
    var unit = meaning.unit < 0 ? 0 : UInt8(clamping: Int(meaning.unit))
    let unitToken = record.unit != 0 ? record.unit : base.unit
    if unitToken != 0 {
      guard let name = shortText(tape, unitToken) else { return .refused(.malformed, code) }
      guard let number = vitals.unit(name, of: code) else { return .refused(.unknownUnit, code) }
      unit = number
    }
    if record.textValue != 0 {
      guard let text = shortText(tape, record.textValue) else { return .refused(.malformed, code) }
      switch letterValue(text, code: code) {
      case .refused(let reason): return .refused(reason, code)
      case .value(let value): return accept(value, unit: unit, code: code, header: header, origin: origin)
      }
    }
    guard record.value != 0, !vitals.hasLetters(code), var value = number(tape, record.value) else {
      return .refused(.malformed, code)
    }
    if base.value != 0 {
      guard let added = number(tape, base.value), let sum = DecimalValue.exactSum(added, value) else {
        return .refused(.malformed, code)
      }
      value = sum
    }
    guard vitals.isCredible(value, unit: unit, of: code, source: SourceText()) else {
      return .refused(.impossibleValue, code)
    }
    return accept(value, unit: unit, code: code, header: header, origin: origin)
  }

  private enum RecordName {
    case vital(NameTable.Meaning)
    case online
    case unknown
  }

  /// What the text behind the last `:` or `/` of base name and name means (SEMANTICS A9); nil: no readable name.
  private func recordName(_ record: SenMLRecord, _ base: SenMLBase, _ tape: JSONTape) -> RecordName? {
    nameScratch.removeAll(keepingCapacity: true)
    for part in [base.name, record.name] where part != 0 {
      guard let text = shortText(tape, part) else { return nil }
      nameScratch.append(contentsOf: text)
    }
    guard !nameScratch.isEmpty else { return nil }
    return nameScratch.withUnsafeBytes { name in
      let separator = name.lastIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/") }
      let code = UnsafeRawBufferPointer(rebasing: name[(separator.map { $0 + 1 } ?? 0)...])
      if let meaning = names.lookup(code) { return .vital(meaning) }
      return record.booleanValue != 0 && code.isWord("online") ? .online : .unknown
    }
  }

  private func setState(_ tape: JSONTape, _ value: Int, _ header: MessageHeader) -> ObservationOutcome {
    guard let isOnline = boolean(tape, value) else { return .refused(.malformed, nil) }
    deviceState = DeviceState(
      isOnline: isOnline, text: nil, time: header.isTimed ? header.eventTime : arrival.receivedAt,
      timeReceived: !header.isTimed)
    return .empty
  }

  private func resolveTime(
    _ record: SenMLRecord, _ base: SenMLBase, _ tape: JSONTape, into header: inout MessageHeader
  ) -> QuarantineReason? {
    var seconds = DecimalValue(mantissa: 0)
    for part in [base.time, record.time] where part != 0 {
      guard let number = number(tape, part), let sum = DecimalValue.exactSum(seconds, number) else { return .malformed }
      seconds = sum
    }
    guard let milliseconds = seconds.floored(times: 3) else { return .impossibleTime }
    if milliseconds >= MessageDecoder.relativeBelow {
      header.eventTime = milliseconds
      header.isTimed = true
      return Timestamp.accepted.contains(milliseconds) ? nil : .impossibleTime
    }
    let (absolute, overflow) = arrival.receivedAt.addingReportingOverflow(milliseconds)
    guard !overflow, Timestamp.accepted.contains(absolute) else { return .impossibleTime }
    header.relativeTime = milliseconds
    return nil
  }

  /// Puts a record's base fields in force.
  ///
  /// - Returns: false if one of them has the wrong type.
  private func update(_ base: inout SenMLBase, with record: SenMLRecord, _ tape: JSONTape) -> Bool {
    let new = record.base
    for token in [new.time, new.value, new.sum] where token != 0 && number(tape, token) == nil { return false }
    for token in [new.name, new.unit] where token != 0 && shortText(tape, token) == nil { return false }
    if new.version != 0, (number(tape, new.version)?.integer ?? 0) < 1 { return false }
    if new.name != 0 { base.name = new.name }
    if new.time != 0 { base.time = new.time }
    if new.unit != 0 { base.unit = new.unit }
    if new.value != 0 { base.value = new.value }
    if new.sum != 0 { base.sum = new.sum }
    if new.version != 0 { base.version = new.version }
    return true
  }

  private func senMLRecord(_ tape: JSONTape, _ object: Int) -> SenMLRecord? {
    guard tape.isKind(object, .object) else { return nil }
    var record = SenMLRecord()
    var key = object + 1
    let end = tape.next(object)
    while key < end {
      let value = key + 1
      if let name = reader.string(tape, key, limit: 128) {
        assign(name, value, &record)
      } else if tape.bytes(key).last == UInt8(ascii: "_") {
        record.mustBeUnderstood = true
      }
      key = tape.next(value)
    }
    return record
  }

  private func assign(_ name: UnsafeRawBufferPointer, _ value: Int, _ record: inout SenMLRecord) {
    var isDuplicate = false
    func set(_ field: inout Int) {
      isDuplicate = field != 0
      field = value
    }
    switch name.count {
    case 1 where name.isWord("n"): set(&record.name)
    case 1 where name.isWord("u"): set(&record.unit)
    case 1 where name.isWord("v"): set(&record.value)
    case 1 where name.isWord("s"): set(&record.sum)
    case 1 where name.isWord("t"): set(&record.time)
    case 2 where name.isWord("vs"): set(&record.textValue)
    case 2 where name.isWord("vb"): set(&record.booleanValue)
    case 2 where name.isWord("vd"): set(&record.dataValue)
    case 2 where name.isWord("bn"): set(&record.base.name)
    case 2 where name.isWord("bt"): set(&record.base.time)
    case 2 where name.isWord("bu"): set(&record.base.unit)
    case 2 where name.isWord("bv"): set(&record.base.value)
    case 2 where name.isWord("bs"): set(&record.base.sum)
    case 4 where name.isWord("bver"): set(&record.base.version)
    default:
      if name.last == UInt8(ascii: "_") { record.mustBeUnderstood = true }
    }
    if isDuplicate { record.hasDuplicate = true }
  }

  /// One record as a pack of its own, the base fields in force as its first record.
  private func wrapRecord(_ tape: JSONTape, _ origin: Origin) -> [UInt8] {
    openedPack(tape, baseHistory[origin.context]) + tape.raw(origin.token) + Array("]".utf8)
  }

  private func refuseRest(_ tape: JSONTape, from element: Int, _ reason: QuarantineReason) {
    let base = baseHistory.last ?? SenMLBase()
    refuse(
      reason, count: tape.elementCount(from: element, of: 0),
      raw: openedPack(tape, base) + tape.rawRest(from: element, of: 0))
  }

  private func openedPack(_ tape: JSONTape, _ base: SenMLBase) -> [UInt8] {
    var raw = Array("[".utf8)
    let fields: [(String, Int)] = [
      ("bn", base.name), ("bt", base.time), ("bu", base.unit), ("bv", base.value), ("bs", base.sum),
      ("bver", base.version),
    ]
    for (name, token) in fields where token != 0 {
      raw += (raw.count == 1 ? "{\"\(name)\":" : ",\"\(name)\":").utf8
      raw += tape.raw(token)
    }
    // Without base fields the version alone says that this is SenML.
    raw += (raw.count == 1 ? "{\"bver\":10}," : "},").utf8
    return raw
  }
}
