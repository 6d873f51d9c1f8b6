import Compression
import Glibc
import KeyValueStore

/// What of the patient lies in files beside the rows.
extension PatientErasure {
  /// Goes through the rows put aside in `STORE/damaged`: those of the patient and those that do not open, or not as what
  /// they are, go; the others are sealed under the store's new key.
  func cleanDamagedFiles() throws(JournalError) {
    let place = DamagedFiles(store: store.path, vault: vault)
    let prefixes = try alertPrefixes()
    for name in try storing(place.names) {
      let path = place.path + "/" + name
      guard let row = DamagedFiles.row(ofFile: name), !isOwn(row, prefixes), let plain = place.open(name),
        !mayHold(row, plain)
      else {
        unlink(path)
        report.damagedFilesRemoved += 1
        continue
      }
      do throws(StoreError) { try place.put(plain, name) } catch { throw .store(error) }
    }
  }

  private func isOwn(_ row: DamagedFiles.Row, _ alertPrefixes: [[UInt8]]) -> Bool {
    let place = row.key.withUnsafeBytes { KeyPlace(family: row.family, key: $0) }
    if place == .patient(patient) { return true }
    return row.family == "alerts" && alertPrefixes.contains { row.key.starts(with: $0) }
  }

  /// Whether a row that was put aside may say anything of the patient: what does not read may.
  private func mayHold(_ row: DamagedFiles.Row, _ plain: [UInt8]) -> Bool {
    if row.family == "journal" {
      var isOwn = false
      let header = try? JournalBatchDecoder().decode(plain) { if self.changed($0) != nil { isOwn = true } }
      return header == nil || isOwn
    }
    let place = row.key.withUnsafeBytes { KeyPlace(family: row.family, key: $0) }
    let isOthers = if case .patient = place { true } else { false }
    // Numbers of somebody else, in a packing of their own.
    if row.family == "chunks" || row.family == "rollups" { return !isOthers }
    guard let family = try? store.store.family(row.family) else { return true }
    let body = plain.withUnsafeBytes { raw in (try? SealedValue.body(of: raw, newest: 2)) != nil }
    guard body else { return true }
    do throws(JournalError) {
      guard try rewritten(family, row.key, plain) == nil else { return true }
    } catch {
      return true
    }
    return !isOthers && PatientErasure.holds(traces.id, plain)
  }

  /// Whether bytes hold a text anywhere: of a row that nobody can use any more, a chance likeness is enough.
  static func holds(_ text: String, _ bytes: [UInt8]) -> Bool {
    let text = Array(text.utf8)
    guard bytes.count >= text.count else { return false }
    return (0...bytes.count - text.count).contains { bytes[$0..<$0 + text.count].elementsEqual(text) }
  }

  /// Folders beside a store that repairs leave: whole stores as they were.
  static func leftovers(beside path: String) throws(JournalError) -> [String] {
    let path = String(path.reversed().drop { $0 == "/" }.reversed())
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let names = try storing { () throws(StoreError) in try DamagedFiles.names(in: folder.isEmpty ? "/" : folder) }
    return names.filter { $0.hasPrefix(name + ".damaged-") || $0 == name + ".rebuilt" }.map { folder + "/" + $0 }
  }
}
