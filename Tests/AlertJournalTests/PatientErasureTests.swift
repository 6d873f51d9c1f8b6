import Foundation
import KeyValueStore
import Pipeline
import Testing

@testable import AlertJournal

@Suite struct PatientErasureTests {
  private static let order = PatientErasure.Order(
    patient: 0, actor: "nurse-anna", reason: "request of the person", timeMs: 99)

  /// What the store says after the first patient is gone, from what it said before.
  private func expected(_ before: [String]) -> [String] {
    let id = SealedWard.ids[0]
    return before.compactMap { line -> String? in
      for own in ["alert 0 ", "active \(SealedWard.alerts[0])", "ledger 0 ", "state 0 ", "chunks [0, 0, 0, 0,"] {
        if line.hasPrefix(own) { return nil }
      }
      if line.hasPrefix("rollups [0, 0, 0, 0,") || line.hasPrefix("silence \(SealedWard.silence) ") { return nil }
      if line.hasPrefix("outbox"), line.contains(SealedWard.alerts[0]) { return nil }
      if line.hasPrefix("body"), line.contains(id) { return nil }
      if line.hasPrefix("quarantine"), line.contains(" \(SealedWard.devices[0]) ") { return nil }
      if line.hasPrefix("text"), line.contains("deviceEvent"), line.split(separator: " ")[2] == "0" {
        return "slot \(line.split(separator: " ")[1]) \(UInt32.max) 0 3"
      }
      if line.hasPrefix("slot"), line.split(separator: " ")[2] == "0" {
        return "slot \(line.split(separator: " ")[1]) \(UInt32.max) 0 3"
      }
      if line.contains("roster") || line.hasPrefix("kept 1 ") { return nil }
      // Another tenant's device happens to bear the same id: it keeps it.
      if line.contains("south-wing") { return line }
      let name = line.hasPrefix("alert") ? "\u{7F}erased-0" : "\\u{7F}erased-0"
      return line.replacingOccurrences(of: "\"\(id)\"", with: "\"\(name)\"")
    }
  }

  private func check(_ path: String, before: [String], report: PatientErasure.Report) throws {
    #expect(report.patient == 0 && report.timeMs == 99 && report.proof.count == 32)
    let texts = [SealedWard.ids[0], SealedWard.alerts[0]]
    #expect(try SealedWard.found(texts, in: path) == [])
    let store = try VigilStore.open(path: path, key: SealedWard.master())
    defer { store.close() }
    let after = try SealedWard.contents(store)
    let isRoster = { (line: String) in line.contains(" roster ") || line.hasPrefix("kept 1 ") }
    let rest = after.filter { !isRoster($0) && !$0.hasPrefix("audit") }
    let wanted = expected(before).filter { !$0.hasPrefix("audit") }
    #expect(SealedWard.difference(rest, wanted) == [])
    // The rosters are there, without the patient and with the others.
    #expect(after.filter(isRoster).count == 2)
    for line in after {
      // But for the other tenant's device of the same name, which is in rosters and quarantine too.
      let isOthers = line.contains("south-wing") || line.hasPrefix("quarantine") || isRoster(line)
      for text in texts where !isOthers { #expect(!line.contains(text)) }
      if isRoster(line) { #expect(!line.contains("\"patient\":\"\(texts[0])\"")) }
      if isRoster(line) { #expect(line.contains(SealedWard.ids[1]) && line.contains(SealedWard.ids[2])) }
    }
    #expect(try SealedWard.positions(store) == Array(1...400))
    #expect(try auditActions(store).last == "keys.erase patient #0 by nurse-anna")
    #expect(try store.audit.verify().brokenAt == nil)
    let service = try #require(KeyService(store))
    let status = try service.status()
    #expect(status.patients == 2)
    let stone = try #require(status.tombstones.first)
    #expect(status.tombstones.count == 1 && stone.reason == "request of the person" && stone.proof == report.proof)
    let stones = Tombstones(vault: try #require(store.vault))
    #expect(stones.proof(tenant: SealedWard.tenants[0], patient: SealedWard.ids[0]) == stone.proof)
    #expect(stones.proof(tenant: SealedWard.tenants[0], patient: SealedWard.ids[1]) != stone.proof)
  }

  @Test func nothingOfThePatientIsLeftAndNothingOfOthersIsGone() throws {
    let ward = try SealedWard()
    let before = try SealedWard.contents(ward.store)
    let old = try sealedRows(ward.store)
    ward.store.close()
    let report = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), PatientErasureTests.order)
    #expect(report.rowsDeleted > 8 && report.journalHours == 4 && report.journalEntries > 130)
    #expect(report.digestsWithdrawn == 0)
    try check(ward.path, before: before, report: report)
    // Bytes that somebody kept, of this patient and of every hour and shared row the patient was in, open no more.
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let vault = try #require(store.vault)
    var opened: [String] = []
    for row in old {
      let plain = row.value.withUnsafeBytes { value in
        row.key.withUnsafeBytes { try? vault.open(value, family: row.family, key: $0) }
      }
      if plain != nil { opened.append(row.family) }
    }
    // The other two patients' own rows only: name, transitions and their index, ledger, state, chunk and rollup.
    #expect(Set(opened) == ["registry", "alerts", "ledger", "state", "chunks", "rollups"])
    #expect(opened.filter { $0 == "registry" }.count == 2 && opened.filter { $0 == "chunks" }.count == 2)
  }

  private func sealedRows(_ store: VigilStore) throws -> [(family: String, key: [UInt8], value: [UInt8])] {
    var rows: [(family: String, key: [UInt8], value: [UInt8])] = []
    for name in StoreSealing.families {
      let iterator = try store.store.iterator(try store.store.family(name))
      defer { iterator.close() }
      var isAt = try iterator.seekToFirst()
      while isAt {
        rows.append((name, [UInt8](iterator.key), [UInt8](iterator.keptValue)))
        isAt = try iterator.next()
      }
    }
    return rows
  }

  @Test func anErasureThatWasKilledIsTakenUpAgain() throws {
    let ward = try SealedWard()
    let before = try SealedWard.contents(ward.store)
    ward.store.close()
    var copies: [String] = []
    let places: Set<String> = ["journal 1", "journal 12", "registry 1", "alerts 3", "audit 1", "compacting 0"]
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), PatientErasureTests.order) { what, seen in
      guard places.contains("\(what) \(seen)") else { return }
      let copy = ward.folder.entry("killed-\(what)-\(seen)")
      copies.append(copy)
      try? FileManager.default.copyItem(atPath: ward.path, toPath: copy)
    }
    #expect(copies.count == places.count)
    for copy in copies {
      #expect(throws: StoreError.self, "\(copy)") { try VigilStore.open(path: copy, key: SealedWard.master()) }
      let report = try #require(try PatientErasure.resume(path: copy, key: SealedWard.master()))
      try check(copy, before: before, report: report)
      #expect(try PatientErasure.resume(path: copy, key: SealedWard.master()) == nil)
    }
  }

  @Test func aHeldPatientAndAnUnknownOneAreNotErased() throws {
    let ward = try SealedWard()
    let batch = ward.store.makeBatch()
    ward.store.holds.hold(0, atMs: 1, in: batch)
    try ward.store.write(batch, sync: true)
    let before = try SealedWard.contents(ward.store)
    ward.store.close()
    func refusal(_ patient: UInt32) -> String {
      var order = PatientErasureTests.order
      order.patient = patient
      do {
        _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order)
        return "erased"
      } catch {
        return "\(error)"
      }
    }
    #expect(refusal(0).contains("patient #0 is held: release it first"))
    #expect(refusal(12).contains("the store has no patient #12"))
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    #expect(try SealedWard.contents(store) == before)
  }

  @Test func somebodyOfTheSameNameIsSomebodyNew() throws {
    var ward = try SealedWard()
    ward.store.close()
    _ = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), PatientErasureTests.order)
    ward.store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    #expect(try ward.store.registry.patients(named: SealedWard.ids[0]).isEmpty)
    try ward.journalBatch(
      401...420, entries: [.patient(number: 3, tenant: SealedWard.tenants[0], patient: SealedWard.ids[0])])
    // What still comes under the old number is nobody's, and readable.
    let batch = ward.store.makeBatch()
    ward.store.state.put(PatientCheckpoint(patient: 0, position: 401, bytes: [7]), in: batch)
    try ward.store.write(batch, sync: false)
    try ward.restart()
    #expect(try ward.store.registry.patients(named: SealedWard.ids[0]).map(\.number) == [3])
    var seen: [UInt32] = []
    try ward.store.state.load { seen.append($0.patient) }
    #expect(seen == [0, 1, 2])
  }
}
