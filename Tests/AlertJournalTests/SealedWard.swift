import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

/// A store with something of everything in it, about three patients of two tenants; encrypted or not.
struct SealedWard {
  let folder: Folder
  var store: VigilStore
  var path: String { folder.entry("store") }

  static let masterText = String(repeating: "5a", count: 32)
  static let otherText = String(repeating: "c3", count: 32)
  static let ids = ["mrn-4711-alpha", "mrn-4712-beta", "mrn-4713-gamma"]
  static let tenants = ["north-wing", "north-wing", "south-wing"]
  static let devices = ["monitor-of-bed-1", "monitor-of-bed-2", "mrn-4711-alpha"]
  static let alerts = ["a-00112233445566778899aabbccddeeff", "a-11112233445566778899aabbccddeeff", "a-gamma"]
  static let silence = "s-019a1f3c9e58a1b2c3d4"
  /// Texts that must not be found in any file of an encrypted store; the chunk stands for values.
  static let secrets =
    ids + tenants + devices + alerts
    + [
      silence, "ward-receiver", "webhook-id-1", "Low oxygen saturation", "SpO2 79 % for 5 s", "physiotherapy",
      "refused payload of", "CHUNK-OF-VALUES", "rule text in force", "nurse-anna", "audited words",
    ]
  static let firstIngest: Int64 = 1_795_000_000_000

  static func master(_ text: String = masterText) throws -> MasterKey { try #require(MasterKey(text: text)) }

  init(isSealed: Bool = true, fill: Bool = true) throws {
    folder = try Folder()
    store = try VigilStore.open(path: folder.entry("store"), key: isSealed ? SealedWard.master() : nil)
    if fill { try self.fill() }
  }

  mutating func restart(_ text: String? = SealedWard.masterText) throws {
    store.close()
    store = try VigilStore.open(path: path, key: text.map { try SealedWard.master($0) })
  }

  // MARK: Content

  /// A slot at a position; positions of a hundred are an hour.
  static func slot(_ position: UInt64) -> Slot {
    var slot = samples(position...position)[0]
    slot.patient = UInt32(position % 3)
    slot.device = slot.patient
    slot.series = slot.patient
    slot.ingestTime = firstIngest + Int64(position / 100) * 3_600_000 + Int64(position % 100)
    return slot
  }

  static var roster: Roster {
    get throws {
      try Roster(
        patients: ids.map { RosterPatient(id: $0) },
        devices: devices.map { RosterDevice(id: $0) },
        assignments: zip(devices, ids).map { RosterAssignment(device: $0, patient: $1, from: nil, to: nil) },
        settings: [])
    }
  }

  private static var entries: [DirectoryEntry] {
    [.source(number: 1, text: "pleth")]
      + (0..<3).map { .device(number: UInt32($0), tenant: tenants[$0], device: devices[$0]) }
      + (0..<3).map { .patient(number: UInt32($0), tenant: tenants[$0], patient: ids[$0]) }
      + (0..<3).map {
        .series(number: UInt32($0), patient: UInt32($0), code: VitalCode(index: 0), device: UInt32($0), source: 1)
      }
  }

  func fill() throws {
    try journalBatch(1...20, entries: SealedWard.entries, roster: try SealedWard.roster.canonicalJSON)
    for start in stride(from: UInt64(21), through: 381, by: 20) { try journalBatch(start...(start + 19)) }
    try fillTables()
  }

  func journalBatch(_ range: ClosedRange<UInt64>, entries: [DirectoryEntry] = [], roster: String? = nil) throws {
    var encoder = JournalBatchEncoder()
    for entry in entries { encoder.append(entry) }
    for position in range {
      var slot = SealedWard.slot(position)
      if let roster, position == range.lowerBound {
        (slot.patient, slot.device, slot.series) = (.max, .max, .max)
        slot.kind = .payload
        try encoder.append(slot, kind: .roster, text: Array(roster.utf8))
      } else if position % 50 == 7 {
        try encoder.append(slot, kind: .deviceEvent, text: Array("{\"event\":\"alarm of \(slot.patient)\"}".utf8))
      } else {
        encoder.append(slot)
      }
    }
    let batch = store.makeBatch()
    try store.journal.append(encoder.finish(partitions: 1), to: batch)
    try store.write(batch, sync: true)
  }

  private func fillTables() throws {
    var effects = Effects()
    for number in 0..<3 {
      for sequence in 1...2 {
        var transition = transition(
          SealedWard.alerts[number], sequence, patient: UInt32(number), detected: 1000 + Int64(number),
          evidence: "{\"samples\":[{\"patient\":\"\(SealedWard.ids[number])\"}]}")
        transition.document.patient = SealedWard.ids[number]
        transition.document.tenant = SealedWard.tenants[number]
        transition.document.ruleTitle = "Low oxygen saturation"
        transition.document.message = "SpO2 79 % for 5 s"
        // One cause that concerned two patients.
        if number == 1 { transition.document.patients = [SealedWard.ids[0], SealedWard.ids[1]] }
        effects.output.transitions.append(transition)
      }
      var held = ledgerRow(position: 10 + UInt64(number), patient: UInt32(number), detected: 500 + Int64(number))
      held.document.patient = SealedWard.ids[number]
      held.document.message = "SpO2 79 % for 5 s"
      effects.output.ledger.append(held)
      effects.checkpoints.append(
        PatientCheckpoint(patient: UInt32(number), position: 400, bytes: Array("state \(SealedWard.ids[number])".utf8)))
      var row = outboxRow("webhook-id-\(number)", receiver: "ward-receiver", alertID: SealedWard.alerts[number])
      row.body = Array("{\"patient\":\"\(SealedWard.ids[number])\"}".utf8)
      effects.outbox.append(row)
    }
    _ = try EffectsWriter(store: store, shard: 0).write(effects)
    let batch = store.makeBatch()
    for number in 0..<3 {
      store.quarantine.put(
        QuarantineItem(
          reason: .malformed, receivedMs: 1000 + Int64(number), tenant: SealedWard.tenants[number],
          device: SealedWard.devices[number], topic: "vigil/v1/x", contentType: "application/json", observations: 1,
          bytes: Array("refused payload of \(SealedWard.ids[number])".utf8)), in: batch)
      let silence = Silence(
        id: number == 0 ? SealedWard.silence : "s-019a1f3c9e5\(number)a1b2c3d4", matcher: .rule("spo2-low"),
        author: "nurse-anna", reason: "physiotherapy", from: 10, until: 20)
      try store.actions.put(
        .silence(silence), patient: UInt32(number), position: 5, time: 10, mark: nil, in: batch)
      let key = bigEndian(UInt32(number)) + bigEndian(UInt32(number)) + [UInt8](repeating: 0, count: 16)
      batch.put(store.families.chunks, key: key, value: Array("CHUNK-OF-VALUES \(number)".utf8))
      batch.put(store.families.rollups, key: key, value: Array("CHUNK-OF-VALUES \(number)".utf8))
    }
    batch.put(
      store.families.registry, key: RegistryTable.textKey(.rules, 3),
      value: RegistryTable.textValue(Array("rule text in force".utf8)))
    try store.write(batch, sync: true)
    try store.audit.record(
      AuditEntry(time: 7, actor: "nurse-anna", action: "test.fill", subject: "store", reason: "audited words"))
  }

  // MARK: Looking

  /// Everything a reader can see, as text: equal stores give equal texts, encrypted or not.
  static func contents(_ store: VigilStore, without patient: UInt32? = nil) throws -> [String] {
    var lines: [String] = []
    try store.journal.read(from: 0) { record in
      switch record {
      case .slot(let slot): lines.append("slot \(slot.payload) \(slot.patient) \(slot.mantissa) \(slot.kindRaw)")
      case .directory(let entry): lines.append("entry \(entry)")
      case .text(let slot, let kind, let bytes):
        lines.append("text \(slot.payload) \(slot.patient) \(kind) \(String(decoding: bytes, as: UTF8.self))")
      }
    }
    for kind in EntryKind.allCases { try store.registry.eachEntry(kind) { lines.append("registry \($0) \($1)") } }
    for kind in JournalTextKind.allCases {
      for text in try store.registry.texts(kind) {
        lines.append("kept \(text.position) \(String(decoding: text.bytes, as: UTF8.self))")
      }
    }
    for alert in try store.alerts.list(limit: .max) {
      lines.append(
        "alert \(alert.patient) \(alert.alertID) \(alert.sequence) \(alert.document) \(alert.evidence ?? "")")
    }
    for alert in try store.alerts.active().sorted(by: { $0.alertID < $1.alertID }) {
      lines.append("active \(alert.alertID)")
    }
    for row in try store.ledger.list(limit: .max) { lines.append("ledger \(row.patient) \(row.document)") }
    try store.state.load { lines.append("state \($0.patient) \(String(decoding: $0.bytes, as: UTF8.self))") }
    for row in try store.outbox.all() {
      lines.append("outbox \(row.order) \(row.row.receiver) \(row.row.webhookID) \(row.row.alertID)")
      lines.append("body \(String(decoding: row.row.body, as: UTF8.self))")
    }
    for entry in try store.quarantine.list(limit: .max) {
      let bytes = try store.quarantine.get(entry.id)?.bytes ?? []
      lines.append("quarantine \(entry.id.text) \(entry.device) \(String(decoding: bytes, as: UTF8.self))")
    }
    for silence in try store.actions.silences(limit: .max) {
      lines.append("silence \(silence.silence.id) \(silence.patient) \(silence.silence.reason)")
    }
    for family in [store.families.chunks, store.families.rollups] {
      let iterator = try store.store.iterator(family)
      defer { iterator.close() }
      var isAt = try iterator.seekToFirst()
      while isAt {
        lines.append("\(family.name) \([UInt8](iterator.key)) \(String(decoding: try iterator.value, as: UTF8.self))")
        isAt = try iterator.next()
      }
    }
    try store.audit.read { row in
      lines.append("audit \(row.number) \(row.entry.action) \(row.entry.subject) \(row.entry.reason)")
      return true
    }
    return lines
  }

  /// Positions of all entries, texts included.
  static func positions(_ store: VigilStore, from start: UInt64 = 1) throws -> [UInt64] {
    var found: [UInt64] = []
    try store.journal.read(from: start) { record in
      switch record {
      case .slot(let slot), .text(let slot, _, _): found.append(slot.payload)
      case .directory: break
      }
    }
    return found
  }

  /// Lines of one that the other has not, in either direction: short enough to read in a failure.
  static func difference(_ lines: [String], _ others: [String]) -> [String] {
    lines.difference(from: others).prefix(8).map { change in
      switch change {
      case .insert(_, let line, _): "more: \(line)"
      case .remove(_, let line, _): "less: \(line)"
      }
    }
  }

  /// Every file below a folder, in one piece each.
  static func files(_ path: String) throws -> [(name: String, bytes: [UInt8])] {
    let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    return names.sorted().compactMap { name in
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isFolder), !isFolder.boolValue,
        let data = FileManager.default.contents(atPath: path + "/" + name)
      else { return nil }
      return (name, [UInt8](data))
    }
  }

  /// Which of the texts stand in clear in any file, with the file's name.
  static func found(_ texts: [String], in path: String) throws -> [String] {
    var found: [String] = []
    for file in try files(path) {
      let data = Data(file.bytes)
      for text in texts where data.range(of: Data(text.utf8)) != nil { found.append("\(text) in \(file.name)") }
    }
    return found
  }
}
