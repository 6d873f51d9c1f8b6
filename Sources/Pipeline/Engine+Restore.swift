import Compression
import Evaluation
import Suppression
import VitalModel

/// A patient's state read back. Bytes come from disk: anything that does not fit is refused, never trusted.
extension Engine {
  /// Why a stored state cannot be used; the caller re-evaluates the journal instead.
  package enum StateError: Error, Equatable, Sendable {
    case unknownVersion(UInt8)
    case damaged
  }

  /// Puts a stored state in place. Call before any entry is applied, then ``finishRestoring()``.
  package func restoreState(of number: UInt32, position: UInt64, bytes: [UInt8]) throws(StateError) {
    let place = placeOf(number)
    let patient = patients[place]
    let failure = bytes.withUnsafeBytes { raw -> StateError? in
      var reader = ByteReader(raw)
      do {
        try read(into: patient, &reader)
        return reader.isAtEnd ? nil : .damaged
      } catch let error as StateError {
        return error
      } catch {
        return .damaged
      }
    }
    if let failure {
      // What was read so far must not be evaluated on: the patient starts afresh.
      let facts = patient.pointee.facts
      patient.pointee.free()
      patient.pointee = PatientState(number: number, facts: facts, layout: layout)
      throw failure
    }
    patient.pointee.position = position
  }

  /// Ends restoration: deadlines are filed, preferred series chosen.
  package func finishRestoring() {
    for patient in patients {
      for index in 0..<patient.pointee.seriesCount {
        choosePreferred(patient, code: patient.pointee.series[index].code)
      }
    }
    fileDeadlines()
  }

  private func read(into patient: UnsafeMutablePointer<PatientState>, _ reader: inout ByteReader) throws {
    let version = try reader.byte()
    guard version == Engine.stateVersion else { throw StateError.unknownVersion(version) }
    patient.pointee.now = try reader.zigzag()
    patient.pointee.newestEvent = try reader.zigzag()
    patient.pointee.nextDue = try reader.zigzag()
    patient.pointee.settleDue = try reader.zigzag()
    patient.pointee.settleSince = try reader.zigzag()
    patient.pointee.ageAsOf = try reader.zigzag()
    patient.pointee.age = Double(bitPattern: try reader.littleEndian())
    patient.pointee.ageMonths = Double(bitPattern: try reader.littleEndian())
    patient.pointee.isSimulated = try reader.byte() != 0
    let seriesCount = try reader.count(limit: 10_000)
    for _ in 0..<seriesCount {
      let series = try readSeries(&reader)
      let position = patient.pointee.addSeries(series, layout: layout)
      for offset in 0..<PatientState.episodeCount(layout, code: series.code) {
        let episode = try readEpisode(&reader)
        if !episode.isBlank { patient.episodePointer(position, offset).pointee = episode }
      }
    }
    for rule in layout.plan.rules.indices {
      let episode = try readEpisode(&reader)
      if !episode.isBlank { patient.ruleEpisodePointer(rule).pointee = episode }
      let slot = try readSlot(&reader, seriesCount: seriesCount)
      if !slot.isBlank { patient.slotPointer(rule).pointee = slot }
    }
    for score in layout.plan.scores.indices { patient.pointee.scores[score] = try readScore(&reader) }
    for _ in 0..<(try reader.count(limit: 10_000)) { patient.pointee.alerts.append(try readAlert(&reader)) }
    for _ in 0..<(try reader.count(limit: 100_000)) {
      let rule = try reader.countedString()
      patient.pointee.missed.append(
        MissedEpisode(ruleID: rule, onset: try reader.zigzag(), end: try reader.zigzag()))
    }
    try readMuting(into: patient, &reader)
  }

  private func readMuting(into patient: UnsafeMutablePointer<PatientState>, _ reader: inout ByteReader) throws {
    for _ in 0..<(try reader.count(limit: 10_000)) {
      let isKind = try reader.byte() != 0
      let text = try reader.countedString()
      let kind = AlertKind(rawValue: text)
      if isKind, kind == nil { throw StateError.damaged }
      patient.pointee.silences.append(
        Silence(
          id: try reader.countedString(), matcher: kind.flatMap { isKind ? .kind($0) : nil } ?? .rule(text),
          author: try reader.countedString(), reason: try reader.countedString(), from: try reader.zigzag(),
          until: try reader.zigzag()))
    }
    for _ in 0..<(try reader.count(limit: 10_000)) {
      patient.pointee.declared.append(DeclaredState(name: try reader.countedString(), until: try reader.zigzag()))
    }
    for _ in 0..<(try reader.count(limit: 100_000)) { patient.pointee.budgetTold.append(try reader.zigzag()) }
    patient.pointee.reviewedUntil = try reader.zigzag()
    for _ in 0..<(try reader.count(limit: 10_000)) {
      let texts = (try reader.countedString(), try reader.countedString(), try reader.countedString())
      let mantissa = try reader.zigzag()
      guard let exponent = Int8(exactly: try reader.zigzag()) else { throw StateError.damaged }
      let from = try reader.zigzag()
      patient.pointee.adapted.append(
        ParameterSetting(
          rule: texts.0, parameter: texts.1, value: DecimalValue(mantissa: mantissa, exponent: exponent),
          author: Engine.adaptingAuthor, reason: texts.2, from: from == .min ? nil : from))
    }
    patient.pointee.adaptedHour = try reader.zigzag()
    if !patient.pointee.adapted.isEmpty { patient.pointee.compileSettings(layout) }
  }

  private func readSeries(_ reader: inout ByteReader) throws -> SeriesWindows {
    let number = UInt32(truncatingIfNeeded: try reader.varint())
    let device = UInt32(truncatingIfNeeded: try reader.varint())
    let code = Int(truncatingIfNeeded: try reader.varint())
    let source = UInt16(truncatingIfNeeded: try reader.varint())
    guard layout.codes.indices.contains(code) else { throw StateError.damaged }
    let plan = layout.codes[code]
    var series = SeriesWindows(series: number, device: device, code: code, source: source, plan: plan)
    do {
      try readBody(of: &series, &reader)
    } catch {
      series.free()
      throw error
    }
    series.finishRestoring(plan: plan)
    return series
  }

  private func readBody(of series: inout SeriesWindows, _ reader: inout ByteReader) throws {
    series.rank = try reader.byte()
    series.isStale = try reader.byte() != 0
    series.lastStatus = SampleStatus(rawValue: try reader.byte()) ?? .ok
    series.lastQuality = SampleQuality(raw: try reader.littleEndian())
    series.newestTime = try readTime(&reader)
    series.lastTime = try readTime(&reader)
    series.lastValue = Int32(truncatingIfNeeded: try reader.zigzag())
    series.count = UInt32(truncatingIfNeeded: try reader.varint())
    series.truncated = UInt32(truncatingIfNeeded: try reader.varint())
    series.doubtfulCount = UInt32(truncatingIfNeeded: try reader.varint())
    series.heardAt = try readTime(&reader)
    series.cadence = try reader.zigzag()
    guard (0...Engine.cadenceMax).contains(series.cadence) else { throw StateError.damaged }
    series.staleDue = try reader.zigzag()
    func interval() throws -> Int32 { Int32(truncatingIfNeeded: try reader.zigzag()) }
    series.intervals = (try interval(), try interval(), try interval(), try interval(), try interval())
    var last: Int64 = 0
    var isFirst = true
    for _ in 0..<(try reader.count(limit: SeriesWindows.entriesMax)) {
      let (time, overflow) = last.addingReportingOverflow(try reader.zigzag())
      guard !overflow, isFirst || time > last, Timestamp.accepted.contains(time) else { throw StateError.damaged }
      isFirst = false
      let value = Int32(truncatingIfNeeded: try reader.zigzag())
      let quality = SampleQuality(raw: try reader.littleEndian())
      series.restore(time: time, value: value, quality: quality, status: try reader.byte())
      last = time
    }
    series.absenceDue = try reader.zigzag()
    let plan = layout.codes[series.code]
    for window in plan.windows.indices where plan.windows[window].kind == .panes {
      for _ in 0..<(try reader.count(limit: 1_000_000)) {
        let number = try reader.zigzag()
        let value = Int32(truncatingIfNeeded: try reader.zigzag())
        let count = try reader.varint()
        guard count <= 1_000_000 else { throw StateError.damaged }
        series.restorePane(window: window, number: number, value: value, count: UInt32(count))
      }
    }
  }

  /// A cadence beyond a year is none.
  private static let cadenceMax: Int64 = 31_622_400_000

  /// A time somebody can have meant, or the mark for none.
  private func readTime(_ reader: inout ByteReader) throws -> Int64 {
    let time = try reader.zigzag()
    guard time == .min || Timestamp.accepted.contains(time) else { throw StateError.damaged }
    return time
  }

  private func readEpisode(_ reader: inout ByteReader) throws -> Episode {
    var episode = Episode()
    let phase = try reader.byte()
    if phase == 0xFF { return episode }
    guard let known = Episode.Phase(rawValue: phase) else { throw StateError.damaged }
    episode.phase = known
    let marks = try reader.byte()
    episode.isBypassed = marks & 1 != 0
    episode.isFrozen = marks & 2 != 0
    episode.isNoted = marks & 4 != 0
    episode.onset = try reader.zigzag()
    episode.segmentStart = try reader.zigzag()
    episode.clearOnset = try reader.zigzag()
    episode.due = try reader.zigzag()
    for index in 0..<4 {
      episode.segments[index] = Episode.Segment(start: try reader.zigzag(), end: try reader.zigzag())
    }
    return episode
  }

  private func readSlot(_ reader: inout ByteReader, seriesCount: Int) throws -> RuleSlot {
    var slot = RuleSlot()
    slot.heldStage = Int8(bitPattern: try reader.byte())
    guard slot.heldStage >= -1, slot.heldStage < SuppressionStage.allCases.count else { throw StateError.damaged }
    let marks = try reader.byte()
    slot.heldBypass = marks & 1 != 0
    slot.heldUnverified = marks & 2 != 0
    let joined = try reader.zigzag()
    guard joined >= -1, joined < layout.plan.rules.count else { throw StateError.damaged }
    slot.joinedRule = Int16(truncatingIfNeeded: joined)
    let subject = try reader.zigzag()
    guard subject >= -1, subject < seriesCount else { throw StateError.damaged }
    slot.subject = Int16(truncatingIfNeeded: subject)
    slot.heldUntil = try reader.zigzag()
    slot.heldOnset = try reader.zigzag()
    slot.refractoryUntil = try reader.zigzag()
    slot.inhibitedSince = try reader.zigzag()
    slot.resolvedUntil = try reader.zigzag()
    slot.toldDepth = Double(bitPattern: try reader.littleEndian())
    for _ in 0..<(try reader.count(limit: 7)) { slot.noteStart(try reader.zigzag()) }
    return slot
  }

  private func readScore(_ reader: inout ByteReader) throws -> ScoreState {
    var score = ScoreState()
    for index in 0..<ScoreState.componentsMax {
      score.points[index] = Int8(bitPattern: try reader.byte())
      score.inputs[index] = Int32(truncatingIfNeeded: try reader.zigzag())
    }
    score.lost = try reader.littleEndian()
    score.knownCount = Int8(bitPattern: try reader.byte())
    score.missingCount = Int8(bitPattern: try reader.byte())
    score.total = Int16(truncatingIfNeeded: try reader.zigzag())
    score.singleMax = Int8(bitPattern: try reader.byte())
    return score
  }

  private func readAlert(_ reader: inout ByteReader) throws -> ActiveAlert {
    let rule = Int(truncatingIfNeeded: try reader.zigzag())
    guard rule >= -1, rule < layout.plan.rules.count else { throw StateError.damaged }
    let id = try reader.countedString()
    let ruleID = try reader.countedString()
    let version = try reader.countedString()
    let title = try reader.countedString()
    guard let kind = AlertKind(rawValue: try reader.countedString()) else { throw StateError.damaged }
    let sequence = Int(truncatingIfNeeded: try reader.varint())
    let onset = try reader.zigzag()
    let detected = try reader.zigzag()
    guard let priority = Priority(rawValue: try reader.byte()) else { throw StateError.damaged }
    let marks = try reader.byte()
    let code = Int(truncatingIfNeeded: try reader.zigzag())
    guard code >= -1, code < layout.codes.count else { throw StateError.damaged }
    let device = UInt32(truncatingIfNeeded: try reader.varint())
    var sources: [UInt32] = []
    for _ in 0..<(try reader.count(limit: 10_000)) { sources.append(UInt32(truncatingIfNeeded: try reader.varint())) }
    var members: [String] = []
    for _ in 0..<(try reader.count(limit: 10_000)) { members.append(try reader.countedString()) }
    let unit = try reader.countedString()
    let bed = try reader.countedString()
    var fields: [Int64] = []
    for _ in 0..<8 { fields.append(try reader.zigzag()) }
    guard let life = AlertLife(fields: fields) else { throw StateError.damaged }
    var alert = ActiveAlert(
      rule: rule, alertID: id, ruleID: ruleID, ruleVersion: version, ruleTitle: title, sequence: sequence, onset: onset,
      detected: detected, priority: priority, kind: kind, isScore: marks & 1 != 0, isBypassed: marks & 2 != 0,
      isUnverified: marks & 4 != 0, isRetrospective: marks & 8 != 0, code: code, device: device, sources: sources,
      members: members, unit: unit == "\u{0}" ? nil : unit, bed: bed == "\u{0}" ? nil : bed, life: life)
    alert.hostClosed = marks & 16 != 0
    try readAnswers(into: &alert, &reader)
    return alert
  }

  private func readAnswers(into alert: inout ActiveAlert, _ reader: inout ByteReader) throws {
    if try reader.byte() != 0 {
      let by = try reader.countedString()
      let kind = AcknowledgementClass(rawValue: try reader.countedString())
      let note = try reader.countedString()
      alert.acknowledgement = Acknowledgement(
        by: by, kind: kind, note: note == "\u{0}" ? nil : note, time: try reader.zigzag())
    }
    guard let responsibility = Responsibility(rawValue: try reader.countedString()) else { throw StateError.damaged }
    alert.responsibility = responsibility
    let responder = try reader.countedString()
    alert.responder = responder == "\u{0}" ? nil : responder
    alert.cause = try reader.countedString()
    alert.message = try reader.countedString()
    alert.verification = Verification(rawValue: try reader.countedString())
    for _ in 0..<(try reader.count(limit: 10_000)) {
      let code = Int(truncatingIfNeeded: try reader.varint())
      guard layout.codes.indices.contains(code / 4) else { throw StateError.damaged }
      alert.toldCodes.append(code)
    }
    alert.lowerSince = try reader.zigzag()
    alert.silencedUntil = try reader.zigzag()
    alert.raisedAt = try reader.zigzag()
  }
}
