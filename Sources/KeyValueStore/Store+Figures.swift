import CRocksDB

/// What a family's files cost in writing since the store was opened.
package struct FamilyWriting: Hashable, Sendable {
  /// Bytes written to files by flushes and compactions, in whole units as RocksDB prints them.
  package var bytes: Double
  /// Bytes written for each byte flushed; 0 before the first flush.
  package var amplification: Double
}

extension Store {
  /// Flushes and compactions of a family since this opening; nil when RocksDB's figures cannot be read. A secondary reader
  /// writes nothing and has none.
  package func writing(_ family: Family) throws(StoreError) -> FamilyWriting? {
    // The C interface has the table for people only.
    guard let table = try property("rocksdb.cfstats-no-file-histogram", of: family) else { return nil }
    return FamilyWriting(table: table)
  }
}

extension FamilyWriting {
  /// Reads the row of sums of RocksDB's table of levels, by the names of its columns.
  package init?(table: String) {
    let lines = table.split(separator: "\n")
    guard let names = lines.first(where: { $0.contains("W-Amp") && $0.contains("Write(GB)") }),
      let sums = lines.first(where: { $0.drop { $0 == " " }.hasPrefix("Sum ") })
    else { return nil }
    let columns = names.split(separator: " ")
    var fields = sums.split(separator: " ")
    // A size takes two words here and one in the names.
    guard let size = columns.firstIndex(of: "Size"), fields.count > size + 1 else { return nil }
    fields.remove(at: size + 1)
    func field(_ name: String) -> Double? {
      columns.firstIndex { $0 == name }.flatMap { $0 < fields.count ? Double(fields[$0]) : nil }
    }
    guard let written = field("Write(GB)"), let amplification = field("W-Amp") else { return nil }
    self.init(bytes: written * Double(1 << 30), amplification: amplification)
  }
}
