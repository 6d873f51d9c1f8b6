import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

/// An erasure takes all of one patient and nothing of anybody else, whatever the id is and whatever is damaged.
@Suite struct ErasureBoundsTests {
  /// A ward whose patients are called by numbers, two of them the same in two tenants.
  private struct NumberedWard {
    let folder: Folder
    let store: VigilStore
    var path: String { folder.entry("store") }
    static let order = PatientErasure.Order(patient: 0, actor: "nurse-anna", reason: "on request", timeMs: 2_000_000)

    init() throws {
      folder = try Folder()
      store = try VigilStore.open(path: folder.entry("store"), key: SealedWard.master())
      var encoder = JournalBatchEncoder()
      let tenants = ["north", "north", "south"]
      for number in 0..<3 {
        encoder.append(
          DirectoryEntry.device(number: UInt32(number), tenant: tenants[number], device: "monitor-\(number)"))
      }
      // A device of another tenant, and one of the same that never measured the patient, bear the patient's id.
      encoder.append(DirectoryEntry.device(number: 3, tenant: "south", device: "97"))
      encoder.append(DirectoryEntry.device(number: 4, tenant: "north", device: "97"))
      for (number, id) in ["97", "98", "97"].enumerated() {
        encoder.append(DirectoryEntry.patient(number: UInt32(number), tenant: tenants[number], patient: id))
      }
      for (number, device) in [(0, 0), (1, 1), (2, 2), (3, 3)] {
        let patient = UInt32(min(number, 2))
        encoder.append(
          DirectoryEntry.series(
            number: UInt32(number), patient: patient, code: VitalCode(index: 0), device: UInt32(device), source: 0))
      }
      let roster = try Roster(
        patients: [RosterPatient(id: "97", bed: "97"), RosterPatient(id: "98", bed: "97")],
        devices: [
          RosterDevice(id: "monitor-0", tenant: "north"), RosterDevice(id: "monitor-1", tenant: "north"),
          RosterDevice(id: "monitor-2", tenant: "south"), RosterDevice(id: "97", tenant: "south"),
        ],
        assignments: [
          RosterAssignment(device: "monitor-0", patient: "97", from: 1_000, to: 5_000),
          RosterAssignment(device: "monitor-0", patient: "98", from: 5_000, to: nil),
          RosterAssignment(device: "monitor-2", patient: "97"), RosterAssignment(device: "97", patient: "97"),
        ])
      var slot = samples(1...1, ingestMs: 1_000_000)[0]
      (slot.patient, slot.device, slot.series, slot.kind) = (.max, .max, .max, .payload)
      try encoder.append(slot, kind: .roster, text: Array(roster.canonicalJSON.utf8))
      for position in UInt64(2)...20 {
        var slot = samples(position...position, ingestMs: 1_000_000)[0]
        slot.patient = UInt32(position % 3)
        (slot.device, slot.series) = (slot.patient, slot.patient)
        encoder.append(slot)
      }
      let batch = store.makeBatch()
      try store.journal.append(encoder.finish(partitions: 1), to: batch)
      try store.write(batch, sync: true)
    }

    func alert(_ id: String, of patient: UInt32, tenant: String, name: String, listing: [String] = []) throws {
      var effects = Effects()
      let evidence = #"{"samples":[{"code":"pulse","time":"2026-01-01T00:00:97Z","value":97,"source":"97/pulse"}]}"#
      var transition = transition(id, 1, patient: patient, detected: 97, evidence: evidence)
      (transition.document.tenant, transition.document.patient) = (tenant, name)
      (transition.document.value, transition.document.message) = (DecimalValue("97"), "pulse 97 for 97 s")
      (transition.document.patients, transition.document.sources) = (listing, ["97/pulse"])
      effects.output.transitions.append(transition)
      var row = outboxRow("w-\(id)", receiver: "97", alertID: id)
      row.body = Array(transition.document.json.utf8)
      effects.outbox.append(row)
      _ = try EffectsWriter(store: store, shard: 0).write(effects)
    }

    func refuse(_ text: String, tenant: String, device: String, at time: Int64) throws {
      let batch = store.makeBatch()
      store.quarantine.put(
        QuarantineItem(
          reason: .malformed, receivedMs: time, tenant: tenant, device: device,
          topic: "vigil/v1/\(tenant)/\(device)/vitals",
          contentType: "", observations: 1, bytes: Array(text.utf8)), in: batch)
      try store.write(batch, sync: true)
    }
  }

  @Test func anIdThatIsANumberIsNotFoundInNumbersOrInAnotherTenant() throws {
    let ward = try NumberedWard()
    try ward.alert("a-own", of: 0, tenant: "north", name: "97")
    try ward.alert("a-98", of: 1, tenant: "north", name: "98")
    try ward.alert("a-south", of: 2, tenant: "south", name: "97")
    try ward.alert("a-cause", of: 1, tenant: "north", name: "", listing: ["97", "98"])
    let before = try SealedWard.contents(ward.store)
    ward.store.close()
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), NumberedWard.order)
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let after = try SealedWard.contents(store)
    for prefix in ["alert 1 a-98", "alert 2 a-south", "registry 2 ", "registry 3 ", "registry 4 ", "entry device"] {
      let wanted = before.filter { $0.hasPrefix(prefix) }
      #expect(!wanted.isEmpty && after.filter { $0.hasPrefix(prefix) } == wanted, "\(prefix)")
    }
    #expect(!after.contains { $0.contains("a-own") })
    let cause = try #require(after.first { $0.hasPrefix("alert 1 a-cause") })
    #expect(cause.contains("\"patients\":[\"\u{7F}erased-0\",\"98\"]") && cause.contains("pulse 97 for 97 s"))
    // The notice that listed the patient is taken back; the others are still owed.
    let owed = try store.outbox.all().map(\.row.alertID)
    #expect(owed == ["a-98", "a-south"])
    let roster = try #require(try store.registry.readableRosters().first)
    #expect(roster.patients.map(\.id) == ["97", "98"] && roster.patients.map(\.bed) == ["97", "97"])
    #expect(roster.assignments.map(\.device) == ["97", "monitor-0", "monitor-2"])
    #expect(roster.assignments.map(\.patient) == ["97", "98", "97"])
  }

  @Test func refusedMessagesGoWithWhoHadTheDeviceThen() throws {
    let ward = try NumberedWard()
    try ward.refuse("garbage 97", tenant: "north", device: "monitor-0", at: 2_000)
    try ward.refuse("later 97", tenant: "north", device: "monitor-0", at: 6_000)
    try ward.refuse("{\"patient\":\"97\"", tenant: "north", device: "monitor-1", at: 2_000)
    try ward.refuse("{\"patient\":\"97\"}", tenant: "south", device: "monitor-2", at: 2_000)
    try ward.refuse("{\"value\":97,\"unit\":\"97\"}", tenant: "north", device: "monitor-1", at: 2_000)
    ward.store.close()
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), NumberedWard.order)
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let left = try store.quarantine.list(limit: .max).map { try store.quarantine.get($0.id)?.bytes ?? [] }
    #expect(
      Set(left.map { String(decoding: $0, as: UTF8.self) })
        == ["later 97", "{\"patient\":\"97\"}", "{\"value\":97,\"unit\":\"97\"}"])
  }

  @Test func whatAHeldPatientMayOwnIsSpared() throws {
    let ward = try NumberedWard()
    // A held patient has worn the patient's device, nobody knows when.
    var encoder = JournalBatchEncoder()
    encoder.append(DirectoryEntry.patient(number: 3, tenant: "north", patient: "held"))
    encoder.append(DirectoryEntry.series(number: 4, patient: 3, code: VitalCode(index: 1), device: 0, source: 0))
    // And one that no roster names.
    encoder.append(DirectoryEntry.device(number: 5, tenant: "north", device: "loose"))
    for patient in [UInt32(0), 3] {
      encoder.append(
        DirectoryEntry.series(
          number: 5 + patient, patient: patient, code: VitalCode(index: 2), device: 5, source: 0))
    }
    encoder.append(samples(21...21, ingestMs: 1_000_000)[0])
    let batch = ward.store.makeBatch()
    try ward.store.journal.append(encoder.finish(partitions: 1), to: batch)
    ward.store.holds.hold(3, atMs: 1, in: batch)
    try ward.store.write(batch, sync: true)
    try ward.refuse("own", tenant: "north", device: "monitor-0", at: 2_000)
    try ward.refuse("anybody's", tenant: "north", device: "loose", at: 700)
    try ward.refuse("before any assignment", tenant: "north", device: "monitor-0", at: 500)
    ward.store.close()
    let report = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), NumberedWard.order)
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    // At 2,000 the roster says whose it was; before that nobody knows, and it is not the patient's.
    // Of what comes from a device no roster names, nobody ever knows.
    let left = try store.quarantine.list(limit: .max).map(\.id.receivedMs)
    #expect(left == [500, 700] && report.quarantineSpared == 1)
  }

  @Test func aReasonThatSaysTheIdIsRefusedHoweverItIsWritten() throws {
    let ward = try SealedWard()
    ward.store.close()
    let order = PatientErasure.Order(patient: 0, actor: "a", reason: "by order of MRN-4711-Alpha's heirs", timeMs: 9)
    #expect(throws: JournalError.store(.sealed("the reason holds the patient's id, which would outlive the erasure"))) {
      try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order)
    }
    try VigilStore.open(path: ward.path, key: SealedWard.master()).close()
  }

  @Test func damagedRowsAreSteppedOverAndTheErasureEnds() throws {
    let ward = try SealedWard()
    let families = ward.store.families
    var damaged = 0
    let batch = ward.store.makeBatch()
    for (family, prefix) in [
      (families.registry, [EntryKind.series.rawValue]), (families.registry, [0x10]), (families.registry, [0x30]),
      (families.alerts, [AlertTable.transitionPrefix] + bigEndian(0)),
      (families.alerts, [AlertTable.transitionPrefix] + bigEndian(2)), (families.outbox, [OutboxTable.rowPrefix]),
      (families.quarantine, [0x01]), (families.ledger, []), (families.journal, Journal.key(101)),
      (families.journal, Journal.key(201)),
    ] as [(Family, [UInt8])] {
      let iterator = try ward.store.store.iterator(family, lower: prefix)
      defer { iterator.close() }
      #expect(try iterator.seekToFirst())
      #expect(iterator.key.starts(with: prefix))
      var value = [UInt8](iterator.keptValue)
      // One is not even to be seen as sealed.
      value[prefix == Journal.key(201) ? 0 : value.count - 1] ^= 1
      value.withUnsafeBytes { batch.putAsKept(family, key: iterator.key, value: $0) }
      damaged += 1
    }
    try ward.store.write(batch, sync: true)
    ward.store.close()
    let order = PatientErasure.Order(patient: 0, actor: "a", reason: "on request", timeMs: 9)
    let report = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order)
    #expect(report.batchesUndecodable == 2 && report.rowsUnreadable >= 4 && report.rowsUnreadable < damaged)
    #expect(try SealedWard.found([SealedWard.ids[0], SealedWard.alerts[0]], in: ward.path) == [])
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    #expect(try store.alerts.transitions(alertID: SealedWard.alerts[0]).isEmpty)
    #expect(try store.alerts.transitions(alertID: SealedWard.alerts[1]).count == 2)
    #expect(try auditActions(store).last == "keys.erase patient #0 by a")
  }

  @Test func killedAfterAnyWriteNothingOfThePatientIsLeft() throws {
    let ward = try SealedWard()
    ward.store.close()
    let order = PatientErasure.Order(patient: 0, actor: "a", reason: "on request", timeMs: 9)
    var copies: [String] = []
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order, rowsAtOnce: 2) { what, seen in
      guard what == "rows", copies.count < 8 else { return }
      let copy = ward.folder.entry("killed-\(copies.count)")
      copies.append(copy)
      try? FileManager.default.copyItem(atPath: ward.path, toPath: copy)
    }
    #expect(copies.count == 8)
    for copy in copies {
      try repair(copy, scratch: ward.folder.entry("reader"))
      _ = try #require(try PatientErasure.resume(path: copy, key: SealedWard.master()))
      let store = try VigilStore.open(path: copy, key: SealedWard.master())
      defer { store.close() }
      let lines = try SealedWard.contents(store).filter { !$0.contains("south-wing") && !$0.hasPrefix("quarantine") }
      let rest = lines.filter { !$0.contains(" roster ") && !$0.hasPrefix("kept 1 ") }
      for text in [SealedWard.ids[0], SealedWard.alerts[0]] {
        #expect(rest.filter { $0.contains(text) } == [], "\(copy)")
      }
      #expect(try store.store.get(store.families.keys, key: KeyRow.traces(0)) == nil)
      #expect(try SealedWard.positions(store) == Array(1...400))
      // What the repair took was somebody else's: it is kept, and opens.
      let files = DamagedFiles(store: copy, vault: try #require(store.vault))
      #expect(try files.names().map { files.open($0) == Array("CHUNK-OF-VALUES 1".utf8) } == [true])
    }
  }

  /// A repair may go between a kill and the rest of it; nothing else may.
  private func repair(_ path: String, scratch: String) throws {
    #expect(throws: StoreError.self) { try VigilStore.open(path: path, key: SealedWard.master()) }
    #expect(throws: StoreError.self) {
      try VigilStore.openReadOnly(path: path, scratch: scratch, key: SealedWard.master())
    }
    try FileManager.default.removeItem(atPath: scratch)
    do {
      let reader = try VigilStore.openReadOnly(
        path: path, scratch: scratch, key: SealedWard.master(), isForRepair: true)
      defer { reader.close() }
      #expect(try StoreVerification(reader, committed: nil).run().findings.allSatisfy { $0.kind != .row })
    }
    try FileManager.default.removeItem(atPath: scratch)
    let store = try VigilStore.openForRepair(path: path, key: SealedWard.master())
    defer { store.close() }
    // A chunk of the next patient.
    let key = bigEndian(1) + bigEndian(1) + [UInt8](repeating: 0, count: 16)
    let finding = StoreFinding(kind: .row, family: "chunks", key: key, what: "a test", canBePutAside: true)
    let names = try StoreRepair.putAside([finding], of: store, actor: "a", now: 1)
    #expect(names.count == 1)
  }

  @Test func anHourLeftHalfWayLosesItsOldKey() throws {
    let ward = try SealedWard()
    ward.store.close()
    var copy: String?
    let order = PatientErasure.Order(patient: 0, actor: "a", reason: "on request", timeMs: 9)
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order) { what, seen in
      // All hours are rewritten when the first row of the registry is looked at.
      guard what == "registry", copy == nil else { return }
      let path = ward.folder.entry("killed")
      copy = path
      try? FileManager.default.copyItem(atPath: ward.path, toPath: path)
    }
    let path = try #require(copy)
    // As if the kill had come before the old key's row was gone: an hour has two keys, one of them closed.
    do {
      let store = try VigilStore.openForRepair(path: path, key: SealedWard.master())
      defer { store.close() }
      let ring = try #require(store.vault).ring
      let hour = try #require(try ring.hourRows().first { $0.last != .max })
      let old = try ring.exclusively { (state) throws(StoreError) in
        try ring.makeHourKey(hour.number, first: hour.first, last: hour.last, &state)
      }
      try ring.writePending()
      #expect(try ring.hourRows(of: hour.number).count == 2 && old.id.number == hour.number)
    }
    _ = try #require(try PatientErasure.resume(path: path, key: SealedWard.master()))
    let store = try VigilStore.open(path: path, key: SealedWard.master())
    defer { store.close() }
    let rows = try #require(store.vault).ring.hourRows()
    #expect(Set(rows.map(\.number)).count == rows.count)
    #expect(try SealedWard.positions(store) == Array(1...400))
  }
}
