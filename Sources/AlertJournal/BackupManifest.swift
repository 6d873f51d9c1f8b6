import Digests

/// What a backup is of: where its store stood.
package struct BackupFacts: Hashable, Sendable {
  /// Counts from 1 within a backup set.
  package var number = 0
  /// When it was made, milliseconds since 1970.
  package var time: Int64 = 0
  /// The name RocksDB gave the store.
  package var identity = ""
  /// The store's format.
  package var format: UInt32 = 0
  /// Sequence number of the newest change in it.
  package var sequence: UInt64 = 0
  /// Last journal position in it, 0 when there is none.
  package var position: UInt64 = 0
  /// Ingest time of the newest journal entry, milliseconds; nil when there is none.
  package var ingestTime: Int64?
  /// Values are encrypted.
  package var isSealed = false

  package init(
    number: Int = 0, time: Int64 = 0, identity: String = "", format: UInt32 = 0, sequence: UInt64 = 0,
    position: UInt64 = 0, ingestTime: Int64? = nil, isSealed: Bool = false
  ) {
    self.number = number
    self.time = time
    self.identity = identity
    self.format = format
    self.sequence = sequence
    self.position = position
    self.ingestTime = ingestTime
    self.isSealed = isSealed
  }
}

/// One file of a backup.
package struct BackupFile: Hashable, Sendable {
  /// SHA-256, hexadecimal: also its name in the backup set.
  package var digest: String
  package var bytes: UInt64
  /// Time of last change in the store, nanoseconds since 1970.
  package var modified: Int64
  /// Path within the store.
  package var name: String
}

/// One backup: facts and files, as a text of lines that ends with its own digest (docs/formats/backup.md).
package struct BackupManifest: Hashable, Sendable {
  package var facts: BackupFacts
  package var files: [BackupFile]

  package var byteCount: UInt64 { files.reduce(0) { $0 + $1.bytes } }

  static let firstLine = "vigil backup 1"

  var text: String {
    var lines = [
      BackupManifest.firstLine, "number \(facts.number)", "time \(facts.time)", "identity \(facts.identity)",
      "format \(facts.format)", "sequence \(facts.sequence)", "position \(facts.position)",
      "ingest_time \(facts.ingestTime.map(String.init) ?? "none")", "sealed \(facts.isSealed ? "yes" : "no")",
    ]
    for file in files { lines.append("file \(file.digest) \(file.bytes) \(file.modified) \(file.name)") }
    let body = lines.joined(separator: "\n") + "\n"
    return body + "end \(hex(sha256(body)))\n"
  }

  /// Reads a manifest; nil unless every byte is as written.
  init?(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.popLast()?.isEmpty == true, let end = lines.popLast(), lines.first == "vigil backup 1" else {
      return nil
    }
    let body = lines.joined(separator: "\n") + "\n"
    guard end == "end \(hex(sha256(body)))" else { return nil }
    var words: [Substring: Substring] = [:]
    files = []
    for line in lines.dropFirst() {
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2 else { return nil }
      if parts[0] == "file" {
        guard let file = BackupFile(parts[1]) else { return nil }
        files.append(file)
      } else {
        words[parts[0]] = parts[1]
      }
    }
    guard let number = words["number"].flatMap({ Int($0) }), let time = words["time"].flatMap({ Int64($0) }),
      let identity = words["identity"], let format = words["format"].flatMap({ UInt32($0) }),
      let sequence = words["sequence"].flatMap({ UInt64($0) }),
      let position = words["position"].flatMap({ UInt64($0) }), let ingest = words["ingest_time"],
      let sealed = words["sealed"], identity.first != ".", !identity.contains("/"),
      ingest == "none" || Int64(ingest) != nil
    else { return nil }
    facts = BackupFacts(
      number: number, time: time, identity: String(identity), format: format, sequence: sequence, position: position,
      ingestTime: Int64(ingest), isSealed: sealed == "yes")
  }

  init(facts: BackupFacts, files: [BackupFile]) {
    self.facts = facts
    self.files = files
  }
}

extension BackupFile {
  /// `digest bytes modified name`; a name that would leave the folder is refused.
  fileprivate init?(_ line: Substring) {
    let parts = line.split(separator: " ", maxSplits: 3)
    guard parts.count == 4, parts[0].count == 64, parts[0].allSatisfy(\.isHexDigit), let bytes = UInt64(parts[1]),
      let modified = Int64(parts[2]), !parts[3].hasPrefix("/"), !parts[3].split(separator: "/").contains("..")
    else { return nil }
    self.init(digest: String(parts[0]), bytes: bytes, modified: modified, name: String(parts[3]))
  }
}
