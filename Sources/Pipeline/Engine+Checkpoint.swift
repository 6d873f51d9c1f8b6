import Compression
import Evaluation
import Suppression
import VitalModel

/// Numbers that stand in a state for those of an engine's own directory: engines that share the patients of one recording
/// number series and devices each for itself.
package struct StateNumbers: Sendable {
  private let seriesNumbers: [UInt32]
  private let deviceNumbers: [UInt32]

  /// By the directory's number.
  package init(series: [UInt32], devices: [UInt32]) {
    seriesNumbers = series
    deviceNumbers = devices
  }

  func series(_ number: UInt32) -> UInt32 {
    Int(number) < seriesNumbers.count ? seriesNumbers[Int(number)] : number
  }
  func device(_ number: UInt32) -> UInt32 {
    Int(number) < deviceNumbers.count ? deviceNumbers[Int(number)] : number
  }
}

/// One patient's state as bytes: what a checkpoint stores and what `state_hash` is taken over.
///
/// The layout is in `docs/formats/state.md`. It holds positions in the plan, so it is read with the plan it was written
/// with; the caller keeps that plan's version beside it.
extension Engine {
  static let stateVersion: UInt8 = 3

  /// Whether no message is half taken in: only then may a checkpoint be cut.
  package var isBetweenMessages: Bool { !isInMessage }

  /// Numbers of every patient known, ascending.
  package var patientNumbers: [UInt32] { patients.map { $0.pointee.number }.sorted() }

  /// A patient's state; nil if the engine does not know the patient.
  ///
  /// - Parameter numbers: written for those of the directory; nil: as they are.
  package func encodeState(
    of number: UInt32, numbers: StateNumbers? = nil
  ) -> (position: UInt64, bytes: [UInt8])? {
    guard Int(number) < places.count, places[Int(number)] >= 0 else { return nil }
    let patient = patients[Int(places[Int(number)])]
    var out = ByteWriter(capacity: 1024)
    out.append(Engine.stateVersion)
    writeHead(patient, &out)
    out.append(varint: UInt64(patient.pointee.seriesCount))
    for index in 0..<patient.pointee.seriesCount {
      writeSeries(patient.pointee.series[index], numbers, &out)
      for offset in 0..<PatientState.episodeCount(layout, code: patient.pointee.series[index].code) {
        write(patient.episode(index, offset), &out)
      }
    }
    for rule in layout.plan.rules.indices {
      write(patient.ruleEpisode(rule), &out)
      write(patient.slot(rule), &out)
    }
    for score in layout.plan.scores.indices { write(patient.pointee.scores[score], &out) }
    out.append(varint: UInt64(patient.pointee.alerts.count))
    for alert in patient.pointee.alerts { write(alert, numbers, &out) }
    out.append(varint: UInt64(patient.pointee.missed.count))
    for missed in patient.pointee.missed {
      out.append(counted: missed.ruleID)
      out.append(zigzag: missed.onset)
      out.append(zigzag: missed.end)
    }
    writeMuting(patient, &out)
    return (patient.pointee.position, out.bytes)
  }

  /// The next patients whose states must be written so that recovery need not go further back than `position`: those
  /// that changed first, at most `limit`. ``markStored(_:)`` follows once they are durable.
  package func dirtyPatients(before position: UInt64, limit: Int) -> [UInt32] {
    var found: [UInt32] = []
    var index = dirtyHead
    while index < dirtyQueue.count, found.count < limit, dirtyQueue[index].since <= position {
      if isOwed(dirtyQueue[index]) { found.append(patients[Int(dirtyQueue[index].place)].pointee.number) }
      index += 1
    }
    return found
  }

  /// Whether an entry of the queue still speaks of its patient's first change since it was stored. An entry left behind
  /// must not: the patient's next change is later than those of patients queued behind it, and the floor would pass them.
  private func isOwed(_ entry: (place: Int32, since: UInt64)) -> Bool {
    patients[Int(entry.place)].pointee.dirtySince == entry.since
  }

  /// Whether a patient changed since its state was last stored.
  package func isDirty(_ number: UInt32) -> Bool {
    guard Int(number) < places.count, places[Int(number)] >= 0 else { return false }
    return patients[Int(places[Int(number)])].pointee.dirtySince != .max
  }

  /// The states of these patients are stored as they are now.
  package func markStored(_ numbers: [UInt32]) {
    for number in numbers { patients[placeOf(number)].pointee.dirtySince = .max }
    while dirtyHead < dirtyQueue.count, !isOwed(dirtyQueue[dirtyHead]) { dirtyHead += 1 }
    if dirtyHead > 4096, dirtyHead * 2 > dirtyQueue.count {
      dirtyQueue.removeFirst(dirtyHead)
      dirtyHead = 0
    }
  }

  /// Recovery must replay the journal after this position: every patient's stored state covers what is at or before it.
  package var stateFloor: UInt64 {
    dirtyHead < dirtyQueue.count ? max(1, dirtyQueue[dirtyHead].since) - 1 : position
  }

  // MARK: Writing

  private func writeHead(_ patient: UnsafeMutablePointer<PatientState>, _ out: inout ByteWriter) {
    let state = patient.pointee
    for value in [state.now, state.newestEvent, state.nextDue, state.settleDue, state.settleSince, state.ageAsOf] {
      out.append(zigzag: value)
    }
    out.append(littleEndian: state.age.bitPattern)
    out.append(littleEndian: state.ageMonths.bitPattern)
    out.append(state.isSimulated ? 1 : 0)
  }

  private func writeSeries(_ series: SeriesWindows, _ numbers: StateNumbers?, _ out: inout ByteWriter) {
    out.append(varint: UInt64(numbers?.series(series.series) ?? series.series))
    out.append(varint: UInt64(numbers?.device(series.device) ?? series.device))
    out.append(varint: UInt64(series.code))
    out.append(varint: UInt64(series.source))
    out.append(series.rank)
    out.append(series.isStale ? 1 : 0)
    out.append(series.lastStatus.rawValue)
    out.append(littleEndian: series.lastQuality.raw)
    out.append(zigzag: series.newestTime)
    out.append(zigzag: series.lastTime)
    out.append(zigzag: Int64(series.lastValue))
    out.append(varint: UInt64(series.count))
    out.append(varint: UInt64(series.truncated))
    out.append(varint: UInt64(series.doubtfulCount))
    out.append(zigzag: series.heardAt)
    out.append(zigzag: series.cadence)
    out.append(zigzag: series.staleDue)
    let i = series.intervals
    for interval in [i.0, i.1, i.2, i.3, i.4] { out.append(zigzag: Int64(interval)) }
    // Only what is still needed: equal histories are equal bytes, whatever was dropped when.
    let kept = series.neededSamples(plan: layout.codes[series.code])
    out.append(varint: UInt64(kept.count))
    var last: Int64 = 0
    for entry in kept {
      out.append(zigzag: entry.time - last)
      out.append(zigzag: Int64(entry.value))
      out.append(littleEndian: entry.quality.raw)
      out.append(entry.status)
      last = entry.time
    }
    out.append(zigzag: series.absenceDue)
    let plan = layout.codes[series.code]
    for window in plan.windows.indices where plan.windows[window].kind == .panes {
      let records = series.paneRecords(window: window)
      out.append(varint: UInt64(records.count))
      for record in records {
        out.append(zigzag: record.number)
        out.append(zigzag: Int64(record.value))
        out.append(varint: UInt64(record.count))
      }
    }
  }

  private func write(_ episode: Episode, _ out: inout ByteWriter) {
    out.append(episode.isBlank ? 0xFF : episode.phase.rawValue)
    guard !episode.isBlank else { return }
    out.append((episode.isBypassed ? 1 : 0) | (episode.isFrozen ? 2 : 0) | (episode.isNoted ? 4 : 0))
    for value in [episode.onset, episode.segmentStart, episode.clearOnset, episode.due] { out.append(zigzag: value) }
    for index in 0..<4 {
      out.append(zigzag: episode.segments[index].start)
      out.append(zigzag: episode.segments[index].end)
    }
  }

  private func write(_ slot: RuleSlot, _ out: inout ByteWriter) {
    out.append(UInt8(bitPattern: slot.heldStage))
    out.append((slot.heldBypass ? 1 : 0) | (slot.heldUnverified ? 2 : 0))
    out.append(zigzag: Int64(slot.joinedRule))
    out.append(zigzag: Int64(slot.subject))
    for value in [slot.heldUntil, slot.heldOnset, slot.refractoryUntil, slot.inhibitedSince, slot.resolvedUntil] {
      out.append(zigzag: value)
    }
    out.append(littleEndian: slot.toldDepth.bitPattern)
    let starts = slot.startTimes
    out.append(varint: UInt64(starts.count))
    for start in starts { out.append(zigzag: start) }
  }

  /// Silences, declared states, and what counts against the budget.
  private func writeMuting(_ patient: UnsafeMutablePointer<PatientState>, _ out: inout ByteWriter) {
    out.append(varint: UInt64(patient.pointee.silences.count))
    for silence in patient.pointee.silences {
      switch silence.matcher {
      case .rule(let id):
        out.append(0)
        out.append(counted: id)
      case .kind(let kind):
        out.append(1)
        out.append(counted: kind.rawValue)
      }
      for text in [silence.id, silence.author, silence.reason] { out.append(counted: text) }
      out.append(zigzag: silence.from)
      out.append(zigzag: silence.until)
    }
    out.append(varint: UInt64(patient.pointee.declared.count))
    for state in patient.pointee.declared {
      out.append(counted: state.name)
      out.append(zigzag: state.until)
    }
    out.append(varint: UInt64(patient.pointee.budgetTold.count))
    for time in patient.pointee.budgetTold { out.append(zigzag: time) }
    out.append(zigzag: patient.pointee.reviewedUntil)
    out.append(varint: UInt64(patient.pointee.adapted.count))
    for setting in patient.pointee.adapted {
      for text in [setting.rule, setting.parameter, setting.reason] { out.append(counted: text) }
      out.append(zigzag: setting.value.mantissa)
      out.append(zigzag: Int64(setting.value.exponent))
      out.append(zigzag: setting.from ?? .min)
    }
    out.append(zigzag: patient.pointee.adaptedHour)
  }

  private func write(_ score: ScoreState, _ out: inout ByteWriter) {
    for index in 0..<ScoreState.componentsMax {
      out.append(UInt8(bitPattern: score.points[index]))
      out.append(zigzag: Int64(score.inputs[index]))
    }
    out.append(littleEndian: score.lost)
    out.append(UInt8(bitPattern: score.knownCount))
    out.append(UInt8(bitPattern: score.missingCount))
    out.append(zigzag: Int64(score.total))
    out.append(UInt8(bitPattern: score.singleMax))
  }

  private func write(_ alert: ActiveAlert, _ numbers: StateNumbers?, _ out: inout ByteWriter) {
    out.append(zigzag: Int64(alert.rule))
    for text in [alert.alertID, alert.ruleID, alert.ruleVersion, alert.ruleTitle, alert.kind.rawValue] {
      out.append(counted: text)
    }
    out.append(varint: UInt64(alert.sequence))
    out.append(zigzag: alert.onset)
    out.append(zigzag: alert.detected)
    out.append(alert.priority.rawValue)
    let marks: [Bool] = [
      alert.isScore, alert.isBypassed, alert.isUnverified, alert.isRetrospective, alert.hostClosed,
    ]
    out.append(marks.enumerated().reduce(UInt8(0)) { $0 | ($1.element ? 1 << UInt8($1.offset) : 0) })
    out.append(zigzag: Int64(alert.code))
    out.append(varint: UInt64(numbers?.device(alert.device) ?? alert.device))
    out.append(varint: UInt64(alert.sources.count))
    for source in alert.sources { out.append(varint: UInt64(numbers?.series(source) ?? source)) }
    out.append(varint: UInt64(alert.members.count))
    for member in alert.members { out.append(counted: member) }
    out.append(counted: alert.unit ?? "\u{0}")
    out.append(counted: alert.bed ?? "\u{0}")
    for field in alert.life.fields { out.append(zigzag: field) }
    let word = alert.acknowledgement
    out.append(word == nil ? 0 : 1)
    if let word {
      for text in [word.by, word.kind?.rawValue ?? "", word.note ?? "\u{0}"] { out.append(counted: text) }
      out.append(zigzag: word.time)
    }
    out.append(counted: alert.responsibility.rawValue)
    let verification = alert.verification?.rawValue ?? ""
    for text in [alert.responder ?? "\u{0}", alert.cause, alert.message, verification] { out.append(counted: text) }
    out.append(varint: UInt64(alert.toldCodes.count))
    for code in alert.toldCodes { out.append(varint: UInt64(code)) }
    out.append(zigzag: alert.lowerSince)
    out.append(zigzag: alert.silencedUntil)
    out.append(zigzag: alert.raisedAt)
  }
}
