import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// What in the store is the patient's and cannot be told by its key alone: found before the erasure begins, and kept in a
/// sealed row until the keys are destroyed, as the rows that say it go before that.
extension PatientErasure {
  /// A device as it calls itself.
  struct Device: Hashable, Sendable {
    var tenant: String
    var name: String
  }

  /// A row of the outbox that tells of the patient.
  struct Owed: Hashable, Sendable {
    var order: UInt64
    var receiver: String
    var webhookID: String
  }

  struct Traces: Hashable, Sendable {
    var tenant = ""
    var id = ""
    var alerts: Set<String> = []
    /// Names of devices of the patient's tenant that measured the patient.
    var devices: Set<String> = []
    /// Numbers of devices of the patient's tenant that bear the patient's own id and measured the patient.
    var namesakes: Set<UInt32> = []
    /// Whether another tenant has a patient of the same id.
    var isShared = false
    /// Names of devices that measured those.
    var foreignDevices: Set<String> = []
    var silences: Set<String> = []
    var owed: Set<Owed> = []
    /// Of these, those that tell of others too.
    var withdrawn = 0
    var quarantined: Set<QuarantineID> = []
    /// Refused messages of a device of the patient's that somebody who is held may own.
    var spared = 0
  }

  // MARK: Finding

  /// Reads everything that says what is the patient's; rows that do not read are stepped over.
  func findTraces() throws(JournalError) {
    let numbers = try findNames()
    try findAlerts()
    for found in try store.actions.readableSilences() where found.patient == patient {
      traces.silences.insert(found.silence.id)
    }
    try findOwed(naming: try alertsNamingThePatient())
    try findQuarantine(heldWearers: numbers)
  }

  /// Devices and namesakes.
  ///
  /// - Returns: ids of held patients of the tenant, by the device that measured them.
  private func findNames() throws(JournalError) -> [String: Set<String>] {
    let held = try store.holds.numbers()
    var foreign: Set<UInt32> = []
    var heldIDs: [UInt32: String] = [:]
    try store.registry.eachEntry(.patient, onDamage: { _ in }) { _, entry in
      guard case .patient(let number, let tenant, let name) = entry, number != patient else { return }
      if tenant == traces.tenant, held.contains(number) { heldIDs[number] = name }
      if tenant != traces.tenant, name == traces.id { foreign.insert(number) }
    }
    traces.isShared = !foreign.isEmpty
    var own: Set<UInt32> = []
    var others: Set<UInt32> = []
    var wearers: [UInt32: Set<String>] = [:]
    try store.registry.eachEntry(.series, onDamage: { _ in }) { _, entry in
      guard case .series(_, let wearer, _, let device, _) = entry else { return }
      if wearer == patient { own.insert(device) }
      if foreign.contains(wearer) { others.insert(device) }
      if let id = heldIDs[wearer] { wearers[device, default: []].insert(id) }
    }
    var heldWearers: [String: Set<String>] = [:]
    try store.registry.eachEntry(.device, onDamage: { _ in }) { _, entry in
      guard case .device(let number, let tenant, let name) = entry else { return }
      if others.contains(number), tenant != traces.tenant { traces.foreignDevices.insert(name) }
      guard tenant == traces.tenant else { return }
      if let ids = wearers[number] { heldWearers[name, default: []].formUnion(ids) }
      guard own.contains(number) else { return }
      traces.devices.insert(name)
      // With `identity: device` the device's id is the patient's.
      if name == traces.id { traces.namesakes.insert(number) }
    }
    // Assigned by the roster alone.
    for id in heldIDs.values { heldWearers["", default: []].insert(id) }
    return heldWearers
  }

  /// Alerts of the patient, by their keys alone.
  private func findAlerts() throws(JournalError) {
    let table = store.alerts.table
    for prefix in [AlertTable.transitionPrefix, AlertTable.activePrefix] {
      try table.scan(prefix: [prefix] + bigEndian(patient)) { (key, _) throws(JournalError) in
        let id = try? table.parse(key) { (reader) throws(KeyError) in
          _ = try reader.uint32()
          let id = try table.text(&reader)
          _ = reader.rest()
          return id
        }
        if let id { traces.alerts.insert(id) }
        return true
      }
    }
  }

  /// Alerts of others whose documents list the patient: one cause that concerned several.
  private func alertsNamingThePatient() throws(JournalError) -> Set<String> {
    var found: Set<String> = []
    let table = store.alerts.table
    try table.scan(prefix: [AlertTable.transitionPrefix]) { (key, value) throws(JournalError) in
      if let transition = try? store.alerts.transition(key, value), transition.patient != patient,
        !found.contains(transition.alertID), names(Array(transition.document.utf8))
      {
        found.insert(transition.alertID)
      }
      return true
    }
    return found
  }

  private func findOwed(naming others: Set<String>) throws(JournalError) {
    for entry in try store.outbox.readable() {
      let row = entry.row
      let members = (try? store.outbox.members(of: entry.order)) ?? []
      let isOwn = traces.alerts.contains(row.alertID)
      // What lists the patient beside others is known by the alert; whether this telling of it did, by its text.
      let lists = others.contains(row.alertID) || members.contains { others.contains($0) }
      let tells = members.contains { traces.alerts.contains($0) } || lists && PatientErasure.holds(traces.id, row.body)
      guard isOwn || tells || names(row.body) else { continue }
      if !isOwn { traces.withdrawn += 1 }
      traces.owed.insert(Owed(order: entry.order, receiver: row.receiver, webhookID: row.webhookID))
    }
  }

  /// Refused messages of the patient's devices while the patient had them, and those whose content says the patient's id.
  private func findQuarantine(heldWearers: [String: Set<String>]) throws(JournalError) {
    let wearings = Wearings(rosters: try store.registry.readableRosters(), tenant: traces.tenant)
    for entry in try store.quarantine.readable() where entry.tenant == traces.tenant {
      if let bytes = (try? store.quarantine.get(entry.id))?.bytes, names(bytes, in: entry.tenant) {
        traces.quarantined.insert(entry.id)
        continue
      }
      let (device, time) = (entry.device, entry.id.receivedMs)
      guard traces.devices.contains(device), wearings.mayOwn(traces.id, device, at: time) else { continue }
      var held = heldWearers[device] ?? []
      held.formUnion((heldWearers[""] ?? []).filter { wearings.knows($0, device) })
      if held.contains(where: { wearings.mayOwn($0, device, at: time) }) {
        traces.spared += 1
      } else {
        traces.quarantined.insert(entry.id)
      }
    }
  }

  // MARK: Keeping

  /// Puts the traces into a write; the family is not guarded, so they are sealed here.
  func putTraces(_ stone: KeyService.Tombstone, in batch: WriteBatch) throws(JournalError) {
    let key = KeyRow.traces(patient)
    let plain = SealedValue.seal(capacity: 4096) { traces.write(stone, to: &$0) }
    let sealed = try storing { () throws(StoreError) in
      try lendingBytes(plain) { (plain) throws(StoreError) in
        try lendingBytes(key) { (key) throws(StoreError) in
          try vault.seal(plain, family: store.families.keys.name, key: key)
        }
      }
    }
    try storing { () throws(StoreError) in try vault.ring.writePending() }
    batch.put(store.families.keys, key: key, value: sealed)
  }

  /// Takes up the traces of an erasure under way.
  ///
  /// - Returns: what its tombstone says; nil: there is no such row, or it does not read.
  func readTraces() throws(JournalError) -> KeyService.Tombstone? {
    let (key, family) = (KeyRow.traces(patient), store.families.keys)
    let kept = try storing { () throws(StoreError) in try store.store.get(family, key: key) }
    guard let kept else { return nil }
    let found = try? lending(kept) { (kept) throws(JournalError) in
      let plain = try storing { () throws(StoreError) in
        try lendingBytes(key) { (key) throws(StoreError) in try vault.open(kept, family: family.name, key: key) }
      }
      return try lending(plain) { (raw) throws(JournalError) in
        try SealedValue.open(raw, family: family.name, position: UInt64(patient)) { (reader) throws(ByteError) in
          try Traces.read(patient, &reader)
        }
      }
    }
    guard let found else { return nil }
    traces = found.traces
    return found.stone
  }
}

extension PatientErasure.Traces {
  fileprivate func write(_ stone: KeyService.Tombstone, to out: inout ByteWriter) {
    out.append(littleEndian: stone.timeMs)
    out.append(counted: stone.proof)
    for text in [stone.actor, stone.reason, tenant, id] { out.append(counted: text) }
    for texts in [alerts, devices, foreignDevices, silences] {
      out.append(varint: UInt64(texts.count))
      for text in texts.sorted() { out.append(counted: text) }
    }
    out.append(varint: UInt64(namesakes.count))
    for number in namesakes.sorted() { out.append(littleEndian: number) }
    out.append(varint: UInt64(owed.count))
    for row in owed.sorted(by: { $0.order < $1.order }) {
      out.append(littleEndian: row.order)
      out.append(counted: row.receiver)
      out.append(counted: row.webhookID)
    }
    out.append(varint: UInt64(quarantined.count))
    for id in quarantined.sorted(by: { $0.ordinal < $1.ordinal }) {
      out.append(littleEndian: id.receivedMs)
      out.append(littleEndian: id.ordinal)
    }
    out.append(isShared ? 1 : 0)
    out.append(varint: UInt64(withdrawn))
    out.append(varint: UInt64(spared))
  }

  fileprivate typealias Kept = (traces: Self, stone: KeyService.Tombstone)

  fileprivate static func read(_ patient: UInt32, _ reader: inout ByteReader) throws(ByteError) -> Kept {
    let stone = KeyService.Tombstone(
      patient: patient, timeMs: try reader.littleEndian(), proof: [UInt8](try reader.counted()),
      actor: try reader.countedString(), reason: try reader.countedString())
    var traces = Self()
    (traces.tenant, traces.id) = (try reader.countedString(), try reader.countedString())
    func texts() throws(ByteError) -> Set<String> {
      var found: Set<String> = []
      for _ in 0..<(try reader.count(limit: 1 << 24)) { found.insert(try reader.countedString()) }
      return found
    }
    (traces.alerts, traces.devices) = (try texts(), try texts())
    (traces.foreignDevices, traces.silences) = (try texts(), try texts())
    for _ in 0..<(try reader.count(limit: 1 << 24)) { traces.namesakes.insert(try reader.littleEndian()) }
    for _ in 0..<(try reader.count(limit: 1 << 24)) {
      traces.owed.insert(
        PatientErasure.Owed(
          order: try reader.littleEndian(), receiver: try reader.countedString(),
          webhookID: try reader.countedString()))
    }
    for _ in 0..<(try reader.count(limit: 1 << 24)) {
      traces.quarantined.insert(
        QuarantineID(receivedMs: try reader.littleEndian(), ordinal: try reader.littleEndian()))
    }
    traces.isShared = try reader.byte() == 1
    traces.withdrawn = try reader.count(limit: .max)
    traces.spared = try reader.count(limit: .max)
    return (traces, stone)
  }
}

/// Who had which device when, by all rosters there are.
private struct Wearings {
  private var spans: [String: [String: [RosterAssignment]]] = [:]

  init(rosters: [Roster], tenant: String) {
    for roster in rosters {
      for assignment in roster.assignments {
        if let owner = roster.device(assignment.device)?.tenant, owner != tenant { continue }
        spans[assignment.device, default: [:]][assignment.patient, default: []].append(assignment)
      }
    }
  }

  func knows(_ id: String, _ device: String) -> Bool { spans[device]?[id] != nil }

  /// Whether what came from a device at a time, milliseconds, may be somebody's: while it was assigned to them, or where
  /// no roster says when, while it was assigned to nobody else.
  func mayOwn(_ id: String, _ device: String, at time: Int64) -> Bool {
    let all = spans[device] ?? [:]
    if let own = all[id] { return own.contains { $0.contains(time) } }
    return !all.values.contains { $0.contains { $0.contains(time) } }
  }
}
