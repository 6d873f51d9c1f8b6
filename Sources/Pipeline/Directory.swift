import Digests
import Synchronization
import VitalModel

/// Names and the numbers that stand for them in slots: patients, devices, series, sources, and the rosters in force.
///
/// Shared by the threads of the service under one mutex; each asks only where it meets a name for the first time or writes
/// one down. New entries queue up for the journal, which stores them before the first slot that uses them.
package final class Directory: NameSource, Sendable {
  package struct Device: Hashable, Sendable {
    package var tenant: String
    package var device: String
  }
  package struct Patient: Hashable, Sendable {
    package var tenant: String
    package var patient: String
  }
  package struct Series: Hashable, Sendable {
    package var patient: UInt32
    package var code: VitalCode
    package var device: UInt32
    package var source: UInt16
  }

  private struct State {
    var sources: [String] = [""]
    var sourceNumbers: [String: UInt16] = ["": 0]
    var devices: [Device] = []
    var deviceNumbers: [Device: UInt32] = [:]
    var patients: [Patient] = []
    var patientNumbers: [Patient: UInt32] = [:]
    var series: [Series] = []
    var seriesNumbers: [Series: UInt32] = [:]
    var clockOffsets: [UInt32: Int64] = [:]
    var rosters: [Roster] = [Roster()]
    var pending: [DirectoryEntry] = []
  }

  private let state = Mutex(State())
  private let registry: VitalRegistry

  package init(registry: VitalRegistry) { self.registry = registry }

  // MARK: Names to numbers

  /// Distinct sources are bounded: past this many a new one counts as none given.
  static let sourcesMax = 4096

  package func source(_ text: String) -> UInt16 {
    state.withLock { state in
      if let number = state.sourceNumbers[text] { return number }
      guard state.sources.count < Directory.sourcesMax else { return 0 }
      let number = UInt16(state.sources.count)
      state.sources.append(text)
      state.sourceNumbers[text] = number
      state.pending.append(.source(number: number, text: text))
      return number
    }
  }

  package func device(tenant: String, device: String) -> UInt32 {
    state.withLock { state in
      let key = Device(tenant: tenant, device: device)
      if let number = state.deviceNumbers[key] { return number }
      let number = UInt32(state.devices.count)
      state.devices.append(key)
      state.deviceNumbers[key] = number
      state.pending.append(.device(number: number, tenant: tenant, device: device))
      return number
    }
  }

  package func patient(tenant: String, patient: String) -> UInt32 {
    state.withLock { state in
      let key = Patient(tenant: tenant, patient: patient)
      if let number = state.patientNumbers[key] { return number }
      let number = UInt32(state.patients.count)
      state.patients.append(key)
      state.patientNumbers[key] = number
      state.pending.append(.patient(number: number, tenant: tenant, patient: patient))
      return number
    }
  }

  package func series(patient: UInt32, code: VitalCode, device: UInt32, source: UInt16) -> UInt32 {
    state.withLock { state in
      let key = Series(patient: patient, code: code, device: device, source: source)
      if let number = state.seriesNumbers[key] { return number }
      let number = UInt32(state.series.count)
      state.series.append(key)
      state.seriesNumbers[key] = number
      state.pending.append(.series(number: number, patient: patient, code: code, device: device, source: source))
      return number
    }
  }

  /// Sets the correction of a device's clock; 0 ends it.
  package func setClockOffset(device: UInt32, milliseconds: Int64) {
    state.withLock { state in
      state.clockOffsets[device] = milliseconds
      state.pending.append(.clockOffset(device: device, milliseconds: milliseconds))
    }
  }

  /// Entries not journaled yet, in the order made; the caller journals them before anything that uses them.
  package func takePending() -> [DirectoryEntry] {
    state.withLock { state in
      defer { state.pending.removeAll(keepingCapacity: true) }
      return state.pending
    }
  }

  /// Drops entries nobody will journal.
  package func forgetPending() { state.withLock { $0.pending.removeAll(keepingCapacity: true) } }

  /// Puts entries that could not be journaled back in front.
  package func giveBack(_ entries: [DirectoryEntry]) {
    state.withLock { $0.pending.insert(contentsOf: entries, at: 0) }
  }

  /// Takes in a journaled entry during recovery. Entries come in order; one that does not fit is refused.
  ///
  /// - Returns: whether the entry's number was the next one.
  @discardableResult
  package func restore(_ entry: DirectoryEntry) -> Bool {
    state.withLock { state in
      switch entry {
      case .source(let number, let text):
        if Int(number) < state.sources.count { return state.sources[Int(number)] == text }
        guard Int(number) == state.sources.count else { return false }
        state.sources.append(text)
        state.sourceNumbers[text] = number
      case .device(let number, let tenant, let device):
        let key = Device(tenant: tenant, device: device)
        if Int(number) < state.devices.count { return state.devices[Int(number)] == key }
        guard Int(number) == state.devices.count else { return false }
        state.devices.append(key)
        state.deviceNumbers[key] = number
      case .patient(let number, let tenant, let patient):
        let key = Patient(tenant: tenant, patient: patient)
        if Int(number) < state.patients.count { return state.patients[Int(number)] == key }
        guard Int(number) == state.patients.count else { return false }
        state.patients.append(key)
        state.patientNumbers[key] = number
      case .series(let number, let patient, let code, let device, let source):
        let key = Series(patient: patient, code: code, device: device, source: source)
        if Int(number) < state.series.count { return state.series[Int(number)] == key }
        guard Int(number) == state.series.count else { return false }
        state.series.append(key)
        state.seriesNumbers[key] = number
      case .clockOffset(let device, let milliseconds):
        state.clockOffsets[device] = milliseconds
      }
      return true
    }
  }

  // MARK: Numbers to names

  package func deviceName(_ device: UInt32) -> String {
    state.withLock { Int(device) < $0.devices.count ? $0.devices[Int(device)].device : "unknown" }
  }
  package func deviceKey(_ device: UInt32) -> Device? {
    state.withLock { Int(device) < $0.devices.count ? $0.devices[Int(device)] : nil }
  }
  package func patientKey(_ patient: UInt32) -> Patient? {
    state.withLock { Int(patient) < $0.patients.count ? $0.patients[Int(patient)] : nil }
  }
  package func seriesKey(_ series: UInt32) -> Series? {
    state.withLock { Int(series) < $0.series.count ? $0.series[Int(series)] : nil }
  }
  package func sourceName(_ source: UInt16) -> String {
    state.withLock { Int(source) < $0.sources.count ? $0.sources[Int(source)] : "" }
  }
  package func clockOffset(_ device: UInt32) -> Int64 { state.withLock { $0.clockOffsets[device] ?? 0 } }

  /// The registry's keys in the order slots number them.
  package var registryKeys: [String] { registry.vitals.map(\.key) }

  package var counts: (patients: Int, devices: Int, series: Int) {
    state.withLock { ($0.patients.count, $0.devices.count, $0.series.count) }
  }

  /// Partition of a patient: stable on disk and between machines.
  package func partition(ofPatient patient: UInt32) -> Int {
    guard let key = patientKey(patient) else { return 0 }
    return Int(stableHash64(key.tenant + "\u{1F}" + key.patient) % UInt64(partitionCount))
  }

  // MARK: Rosters

  /// Puts a roster in force; its number.
  package func adopt(_ roster: Roster) -> Int {
    state.withLock { state in
      state.rosters.append(roster)
      return state.rosters.count - 1
    }
  }
  package var currentRoster: (number: Int, roster: Roster) {
    state.withLock { ($0.rosters.count - 1, $0.rosters[$0.rosters.count - 1]) }
  }

  package func patientFacts(_ patient: UInt32, roster number: Int) -> PatientFacts {
    state.withLock { state in
      guard Int(patient) < state.patients.count else { return PatientFacts(tenant: "", patient: "unknown") }
      let key = state.patients[Int(patient)]
      let roster = state.rosters[min(number, state.rosters.count - 1)]
      guard let index = roster.patientIndex(key.patient) else {
        return PatientFacts(tenant: key.tenant, patient: key.patient)
      }
      let entry = roster.patients[index]
      var facts = PatientFacts(
        tenant: key.tenant, patient: key.patient, birth: entry.birthDay.map { Int64($0) * 86_400_000 },
        ageYears: entry.age.map { Int(min(max(0, $0.double), 1000)) },
        ageMonthsGiven: entry.age.map(PatientFacts.completedMonths),
        flags: Set(entry.flags), settings: roster.settings(ofPatient: key.patient), unit: entry.unit, bed: entry.bed,
        isListed: true)
      facts.state = entry.state
      facts.stateUntil = entry.stateUntil
      facts.gateways = roster.gateways(ofPatient: key.patient)
      return facts
    }
  }

  package func cadence(device: UInt32, code: VitalCode, roster number: Int, at time: Int64) -> Int64 {
    state.withLock { state in
      guard Int(device) < state.devices.count else { return 0 }
      let roster = state.rosters[min(number, state.rosters.count - 1)]
      let key = state.devices[Int(device)]
      return roster.cadence(
        forDevice: key.device, tenant: key.tenant, key: registry[code].key, at: time) ?? 0
    }
  }
}
