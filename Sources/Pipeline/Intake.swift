import VitalModel

/// How a device's samples find their patient (CONTRACT section 2).
package enum IdentityMode: String, Sendable, CaseIterable {
  /// By the roster's time-ranged assignment.
  case roster
  /// The device id is the patient id.
  case device
  /// The message names the patient.
  case payload
}

/// What became of one observation. Books balance: in = stored + quarantined + duplicates (SEMANTICS A7).
package enum Admission: Sendable, Equatable {
  case accepted
  case duplicate
  case refused(QuarantineReason)
}

/// What is known of samples that are no longer in memory.
package protocol SampleHistory: AnyObject {
  /// Event time of the newest sample of a series, nil if it has none.
  func newestTime(_ series: Directory.Series) -> Int64?
  /// The sample of a series at a time, nil if there is none.
  func sample(_ series: Directory.Series, at time: Int64) -> (value: DecimalValue, unit: UInt8, sequence: Int64?)?
}

/// Admits observations: identity, clocks, duplicates, corrections. Live service, replay and resubmission run this same
/// code, on the one thread that gives entries their order.
///
/// Its answers depend on everything admitted before, never on how arrivals were batched: what memory no longer holds is
/// looked up in the store.
package final class Intake {
  package struct Options: Sendable {
    package var identity: IdentityMode
    package var clock: EngineClock
    package init(identity: IdentityMode, clock: EngineClock) {
      self.identity = identity
      self.clock = clock
    }
  }

  package struct Counts: Sendable, Equatable {
    package var seen: UInt64 = 0
    package var stored: UInt64 = 0
    package var duplicates: UInt64 = 0
    package var quarantined: UInt64 = 0
    package var corrections: UInt64 = 0
    package var restarts: UInt64 = 0
    package init() {}
  }

  /// The newest admitted samples of a series: enough for redelivery in the ordinary case.
  struct Recent {
    static let kept = 16
    var series: Directory.Series
    var newest: Int64 = .min
    /// Every sample later than this that was ever admitted is in memory.
    var forgotten: Int64 = .min
    /// Whether `newest` was asked of the history since the start.
    var isPrimed = false
    var times: [Int64] = []
    var values: [DecimalValue] = []
    var units: [UInt8] = []
    var sequences: [Int64?] = []

    mutating func note(time: Int64, value: DecimalValue, unit: UInt8, sequence: Int64?) {
      newest = max(newest, time)
      times.append(time)
      values.append(value)
      units.append(unit)
      sequences.append(sequence)
    }

    /// Forgets all but the newest: what is committed can be looked up in the store.
    mutating func trim() {
      let extra = times.count - Recent.kept
      guard extra > 0 else { return }
      forgotten = max(forgotten, times[..<extra].max() ?? .min)
      times.removeFirst(extra)
      values.removeFirst(extra)
      units.removeFirst(extra)
      sequences.removeFirst(extra)
    }
  }

  struct DeviceState {
    var patient: UInt32 = .max
    var assignedFrom: Int64 = .max
    var assignedTo: Int64 = .min
    var rosterNumber = -1
    /// (code, source, patient) → series number and its recent samples' index.
    var series: [SeriesKey: Int] = [:]
    var lastSequence: Int64?
    var lastSequenceTime: Int64 = .min
    var skew = ClockSkew()
    /// The message whose offset was last noted, so that a message counts once.
    var notedTime: Int64 = .min
  }
  struct SeriesKey: Hashable {
    var code: UInt16
    var source: UInt16
    var patient: UInt32
  }

  package let directory: Directory
  @exclusivity(unchecked) package var options: Options
  @exclusivity(unchecked) package private(set) var counts = Counts()
  /// What memory no longer holds; nil: nothing earlier exists.
  @exclusivity(unchecked) package var history: (any SampleHistory)?
  @exclusivity(unchecked) private var devices: [DeviceState] = []
  @exclusivity(unchecked) private var recent: [Recent] = []
  /// Digests of timeless, numberless messages admitted lately, for redelivery (SEMANTICS A6).
  @exclusivity(unchecked) private var timeless = TimelessMessages()
  /// Devices whose clock correction changed since the caller last asked: (device, correction in ms).
  package var skewChanges: [(device: UInt32, milliseconds: Int64)] = []

  package init(directory: Directory, options: Options, history: (any SampleHistory)?) {
    self.directory = directory
    self.options = options
    self.history = history
  }

  /// Series met so far; the directory numbers them in the order they were met in.
  package var seriesCount: Int { recent.count }

  package func countRefusedBefore(_ observations: Int) {
    counts.seen &+= UInt64(observations)
    counts.quarantined &+= UInt64(observations)
  }

  /// Judges one observation and, if it is accepted, fills in its patient and series.
  ///
  /// - Parameter digest: of topic and payload, for messages with neither time nor sequence.
  package func admit(_ slot: inout Slot, digest: UInt64) -> Admission {
    counts.seen &+= 1
    let admission = judge(&slot, digest: digest)
    switch admission {
    case .accepted: counts.stored &+= 1
    case .duplicate: counts.duplicates &+= 1
    case .refused: counts.quarantined &+= 1
    }
    return admission
  }

  private func judge(_ slot: inout Slot, digest: UInt64) -> Admission {
    let place = placeOf(slot)
    if options.clock == .wall, let refusal = correctClock(&slot, place) { return .refused(refusal) }
    guard let patient = patient(for: slot, place) else { return .refused(.unassignedDevice) }
    slot.patient = patient
    let index = seriesIndex(slot, place)
    slot.series = recentNumbers[index]
    let sequence = slot.flags.contains(.hasSequence) ? slot.deviceSequence : nil
    let isTimeless = slot.flags.contains(.timeReceived)
    if isTimeless {
      // Received anew, it has a new time: only its number or its bytes tell that it is the same.
      let mark = sequence.map(UInt64.init(bitPattern:)) ?? digest
      if slot.flags.contains(.redelivered), timeless.contains(slot: slot, digest: mark) { return .duplicate }
      timeless.note(slot: slot, digest: mark)
      slot.deviceSequence = Int64(bitPattern: mark)
    }
    prime(index)
    // Two timeless values received in one millisecond are two measurements: the later one moves on by one.
    if isTimeless, slot.eventTime <= recent[index].newest { slot.eventTime = recent[index].newest + 1 }
    if slot.eventTime <= recent[index].newest,
      let found = existing(index, at: slot.eventTime)
    {
      let isSame = found.value.isSameNumber(as: slot.value) && found.unit == slot.unit
      if isSame || isSuperseded(slot, index, sequence) { return .duplicate }
      let isNewer = if let a = sequence, let b = found.sequence { a > b } else { false }
      guard slot.flags.contains(.corrected) || isNewer else { return .refused(.duplicateConflict) }
      slot.flags.insert(.corrected)
      counts.corrections &+= 1
    }
    noteSequence(&slot, place, sequence)
    note(index, slot, sequence)
    return .accepted
  }

  private func note(_ index: Int, _ slot: Slot, _ sequence: Int64?) {
    recent[index].note(time: slot.eventTime, value: slot.value, unit: slot.unit, sequence: sequence)
    if recent[index].times.count == Recent.kept + 1 { overfull.append(index) }
  }

  /// Series that hold more than memory keeps: until they are committed, only memory knows their samples.
  @exclusivity(unchecked) private var overfull: [Int] = []

  /// Everything admitted so far is durable and in the history: memory may forget it.
  package func committed() {
    for index in overfull { recent[index].trim() }
    overfull.removeAll(keepingCapacity: true)
  }

  /// A device's place, made on its first observation; a clock correction found earlier stays in force.
  private func placeOf(_ slot: Slot) -> Int {
    while devices.count <= Int(slot.device) {
      var device = DeviceState()
      device.skew = ClockSkew(correction: directory.clockOffset(UInt32(devices.count)))
      devices.append(device)
    }
    return Int(slot.device)
  }

  /// Takes in a sample that the journal already holds, so that later arrivals are compared with it.
  package func remember(_ slot: Slot) {
    let place = placeOf(slot)
    let index = seriesIndex(slot, place)
    let sequence = slot.flags.contains(.hasSequence) ? slot.deviceSequence : nil
    note(index, slot, sequence)
    if overfull.count > 4096 { committed() }
    if let sequence, slot.eventTime >= devices[place].lastSequenceTime {
      devices[place].lastSequence = sequence
      devices[place].lastSequenceTime = slot.eventTime
    }
    if slot.flags.contains(.timeReceived) {
      timeless.note(slot: slot, digest: UInt64(bitPattern: slot.deviceSequence))
    }
  }

  // MARK: Identity

  /// The patient a device's entry at a time belongs to; nil: nobody's.
  package func owner(of slot: Slot) -> UInt32? {
    guard slot.device != .max else { return nil }
    return patient(for: slot, placeOf(slot))
  }

  @exclusivity(unchecked) private var recentNumbers: [UInt32] = []

  private func patient(for slot: Slot, _ place: Int) -> UInt32? {
    switch options.identity {
    case .payload: return slot.patient == .max ? nil : slot.patient
    case .device:
      if devices[place].patient != .max { return devices[place].patient }
      guard let key = directory.deviceKey(slot.device) else { return nil }
      devices[place].patient = directory.patient(tenant: key.tenant, patient: key.device)
      return devices[place].patient
    case .roster: return assigned(slot, place)
    }
  }

  private func assigned(_ slot: Slot, _ place: Int) -> UInt32? {
    let number = rosterNumber
    if devices[place].rosterNumber == number, slot.eventTime >= devices[place].assignedFrom,
      slot.eventTime < devices[place].assignedTo
    {
      return devices[place].patient == .max ? nil : devices[place].patient
    }
    guard let key = directory.deviceKey(slot.device) else { return nil }
    let roster = directory.currentRoster.roster
    guard let index = roster.assignment(forDevice: key.device, tenant: key.tenant, at: slot.eventTime) else {
      return nil
    }
    let assignment = roster.assignments[index]
    devices[place].rosterNumber = number
    devices[place].assignedFrom = assignment.from ?? .min
    devices[place].assignedTo = assignment.to ?? .max
    devices[place].patient = directory.patient(tenant: key.tenant, patient: assignment.patient)
    return devices[place].patient
  }

  /// Which roster is in force; the caller sets it where it journals a new one.
  @exclusivity(unchecked) package var rosterNumber = 0

  private func seriesIndex(_ slot: Slot, _ place: Int) -> Int {
    let key = SeriesKey(code: slot.code.index, source: slot.source, patient: slot.patient)
    if let index = devices[place].series[key] { return index }
    let series = Directory.Series(patient: slot.patient, code: slot.code, device: slot.device, source: slot.source)
    let number = directory.series(
      patient: slot.patient, code: slot.code, device: slot.device, source: slot.source)
    let index = recent.count
    recent.append(Recent(series: series))
    recentNumbers.append(number)
    devices[place].series[key] = index
    return index
  }

  // MARK: Duplicates

  /// The newest time of a series is asked of the store once: after a restart memory starts empty.
  private func prime(_ index: Int) {
    guard !recent[index].isPrimed else { return }
    recent[index].isPrimed = true
    guard let history, let newest = history.newestTime(recent[index].series) else { return }
    recent[index].newest = max(recent[index].newest, newest)
    recent[index].forgotten = max(recent[index].forgotten, newest)
  }

  private func existing(_ index: Int, at time: Int64) -> (value: DecimalValue, unit: UInt8, sequence: Int64?)? {
    var found: (value: DecimalValue, unit: UInt8, sequence: Int64?)?
    // Oldest to newest, so that of a value and its correction the correction is found.
    for at in recent[index].times.indices where recent[index].times[at] == time {
      found = (recent[index].values[at], recent[index].units[at], recent[index].sequences[at])
    }
    if found != nil || time > recent[index].forgotten { return found }
    return history?.sample(recent[index].series, at: time)
  }

  /// Whether it is the redelivery of a value that was corrected since.
  private func isSuperseded(_ slot: Slot, _ index: Int, _ sequence: Int64?) -> Bool {
    let known = recent[index]
    for step in known.times.indices
    where known.times[step] == slot.eventTime && known.units[step] == slot.unit
      && known.values[step].isSameNumber(as: slot.value) && known.sequences[step] == sequence
    {
      return sequence != nil || !slot.flags.contains(.corrected)
    }
    return false
  }

  private func noteSequence(_ slot: inout Slot, _ place: Int, _ sequence: Int64?) {
    guard let sequence else { return }
    let device = devices[place]
    if let last = device.lastSequence, sequence <= last, slot.eventTime > device.lastSequenceTime {
      // Later time with a number already used: the device restarted and counts anew. Nothing of it is a duplicate.
      slot.flags.insert(.deviceRestarted)
      counts.restarts &+= 1
    }
    if slot.eventTime >= device.lastSequenceTime {
      devices[place].lastSequence = sequence
      devices[place].lastSequenceTime = slot.eventTime
    }
  }

  // MARK: Clocks

  /// A value further ahead than this of the receive time has no business being live (SEMANTICS B6), milliseconds.
  package static let futureTolerance: Int64 = 60_000

  private func correctClock(_ slot: inout Slot, _ place: Int) -> QuarantineReason? {
    if slot.flags.contains(.timeReceived) { return nil }
    if devices[place].notedTime != slot.eventTime {
      devices[place].notedTime = slot.eventTime
      let before = devices[place].skew.correction
      devices[place].skew.note(event: slot.eventTime, ingest: slot.ingestTime)
      let correction = devices[place].skew.correction
      if correction != before {
        directory.setClockOffset(device: slot.device, milliseconds: correction)
        skewChanges.append((slot.device, correction))
      }
    }
    let correction = devices[place].skew.correction
    if correction != 0 {
      slot.eventTime += correction
      slot.flags.insert(.clockCorrected)
    }
    return slot.eventTime > slot.ingestTime + Intake.futureTolerance ? .futureTime : nil
  }
}

/// Messages with neither time nor number: a redelivery is known by the broker's DUP mark and an equal digest.
struct TimelessMessages {
  /// More than any broker keeps in flight to us.
  static let kept = 65_536
  private var ring: [UInt64] = []
  private var next = 0
  private var present: [UInt64: Int] = [:]

  private func key(_ slot: Slot, _ digest: UInt64) -> UInt64 {
    digest &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(slot.code.index) &* 0xFF51_AFD7_ED55_8CCD ^ UInt64(slot.device)
      ^ UInt64(bitPattern: slot.mantissa) &* 0xC4CE_B9FE_1A85_EC53
  }

  func contains(slot: Slot, digest: UInt64) -> Bool { present[key(slot, digest)] != nil }

  mutating func note(slot: Slot, digest: UInt64) {
    let key = key(slot, digest)
    present[key, default: 0] += 1
    guard ring.count == TimelessMessages.kept else {
      ring.append(key)
      return
    }
    let old = ring[next]
    if let count = present[old] { present[old] = count > 1 ? count - 1 : nil }
    ring[next] = key
    next = (next + 1) % TimelessMessages.kept
  }
}

/// Whether a device's clock runs at a steady offset from ours, and how far (SEMANTICS B6).
///
/// Ahead: three messages that agree within ten seconds, for a back-log is never from the future. Behind: twenty messages
/// that agree within ten seconds while both clocks advanced alike, for a back-log's event times race ahead of ours.
struct ClockSkew {
  static let kept = 20
  static let spreadMax: Int64 = 10_000
  private var offsets: [Int64] = []
  private var ingests: [Int64] = []
  private(set) var correction: Int64

  init(correction: Int64 = 0) { self.correction = correction }

  mutating func note(event: Int64, ingest: Int64) {
    offsets.append(event - ingest)
    ingests.append(ingest)
    if offsets.count > ClockSkew.kept {
      offsets.removeFirst()
      ingests.removeFirst()
    }
    let ahead = offsets.suffix(3)
    if ahead.count == 3, let low = ahead.min(), let high = ahead.max(), low > Intake.futureTolerance,
      high - low <= ClockSkew.spreadMax
    {
      settle(on: Array(ahead))
      return
    }
    guard offsets.count == ClockSkew.kept, let low = offsets.min(), let high = offsets.max(),
      high - low <= ClockSkew.spreadMax, ingests[ClockSkew.kept - 1] - ingests[0] >= ClockSkew.spreadMax
    else { return }
    settle(on: offsets)
  }

  /// Corrects by the median; a correction in force moves only by more than half the spread allowed.
  private mutating func settle(on list: [Int64]) {
    let median = list.sorted()[list.count / 2]
    let wanted = abs(median) > Intake.futureTolerance ? -median : 0
    if abs(wanted - correction) > ClockSkew.spreadMax / 2 || wanted == 0 { correction = wanted }
  }
}
