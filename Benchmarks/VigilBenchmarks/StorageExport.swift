import ChunkCoding
import Glibc
import VitalModel

/// What is measured, as files that other programs read: `SET-STAMPING.json` says what lies where in `SET-STAMPING.bin`,
/// which holds little-endian 64-bit numbers, of each group its stamps and then each column's numbers in the column's finest
/// unit; the least number there is marks a missing one.
enum StorageExport {
  static func write(_ set: StorageSet, to folder: String) throws {
    _ = mkdir(folder, 0o700)
    let finest = StorageVarints.finest(set.test + set.training)
    let base = "\(folder)/\(set.name)-\(set.stamping)"
    var bytes: [UInt8] = []
    var out = JSONText()
    out.object { out in
      out.field("set", set.name)
      out.field("stamping", set.stamping)
      out.array("groups") { out in
        for group in set.test { out.object { describe(group, finest, &$0) } }
      }
    }
    for group in set.test {
      append(group.times, to: &bytes)
      for column in group.columns {
        let exponent = min(0, finest[column.column] ?? 0)
        append(
          column.values.map { $0 == StorageColumn.missing ? .min : $0.scaled(toExponent: exponent) ?? .min },
          to: &bytes)
      }
    }
    try write(Array(out.text.utf8), to: base + ".json")
    try write(bytes, to: base + ".bin")
  }

  private static func describe(_ group: StorageGroup, _ finest: [ChunkColumn: Int], _ out: inout JSONText) {
    out.field("patient", group.patient)
    out.field("rows", group.times.count)
    out.array("columns") { out in
      for column in group.columns {
        out.object {
          $0.field("name", column.title.replacing("/", with: "_"))
          $0.field("decimals", max(0, -(finest[column.column] ?? 0)))
        }
      }
    }
  }

  private static func append(_ numbers: [Int64], to bytes: inout [UInt8]) {
    numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "w") else { throw StorageExportError(path: path) }
    let written = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    guard fclose(file) == 0, written == bytes.count else { throw StorageExportError(path: path) }
  }
}

struct StorageExportError: Error, CustomStringConvertible {
  let path: String
  var description: String { "\(path) cannot be written" }
}
