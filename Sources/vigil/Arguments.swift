import VitalModel
import YAMLText

/// One option of a command.
struct Flag: Sendable {
  /// With its dashes: `--set`, `-c`.
  var name: String
  /// What its value is called in help; nil: it takes none.
  var value: String?
  var help: String
  /// May be given more than once.
  var repeats = false

  /// An option that takes a value.
  init(_ name: String, _ value: String, repeats: Bool = false, _ help: String) {
    self.name = name
    self.value = value
    self.help = help
    self.repeats = repeats
  }

  /// A switch.
  init(_ name: String, _ help: String) {
    self.name = name
    self.help = help
  }

  var usage: String { value.map { "\(name) \($0)" } ?? name }
}

/// A command's words after parsing.
struct Arguments: Sendable {
  var positional: [String] = []
  private var values: [String: [String]] = [:]

  static func parse(
    _ words: [String], flags: [Flag], command: String
  ) throws(CommandFailure) -> Arguments {
    var parsed = Arguments()
    var index = 0
    while index < words.count {
      var word = words[index]
      index += 1
      if word == "--" {
        parsed.positional += words[index...]
        break
      }
      guard word.hasPrefix("-"), word.count > 1 else {
        parsed.positional.append(word)
        continue
      }
      var inline: String?
      if let equals = word.firstIndex(of: "="), word.hasPrefix("--") {
        inline = String(word[word.index(after: equals)...])
        word = String(word[..<equals])
      }
      guard let flag = flags.first(where: { $0.name == word }) else {
        let hint = nearest(word, flags.map(\.name)).map { ", did you mean `\($0)`?" } ?? ""
        throw CommandFailure(ExitCode.usage, "\(command): unknown option `\(word)`\(hint)")
      }
      if flag.value == nil {
        guard inline == nil else { throw CommandFailure(ExitCode.usage, "\(command): `\(word)` takes no value") }
        parsed.values[word, default: []].append("")
        continue
      }
      if inline == nil, index < words.count {
        inline = words[index]
        index += 1
      }
      guard let value = inline else {
        throw CommandFailure(ExitCode.usage, "\(command): `\(word)` needs \(flag.value ?? "a value")")
      }
      if !flag.repeats, parsed.values[word] != nil {
        throw CommandFailure(ExitCode.usage, "\(command): `\(word)` is given twice")
      }
      parsed.values[word, default: []].append(value)
    }
    return parsed
  }

  static func nearest(_ word: String, _ candidates: [String]) -> String? {
    Suggestion.nearest(word, among: candidates)
  }

  func has(_ flag: String) -> Bool { values[flag] != nil }
  func value(_ flag: String) -> String? { values[flag]?.last }
  func all(_ flag: String) -> [String] { values[flag] ?? [] }

  /// A value read by `parse`, or a usage failure that says what was expected.
  func value<Value>(
    _ flag: String, as expected: String, _ parse: (String) -> Value?
  ) throws(CommandFailure) -> Value? {
    guard let text = value(flag) else { return nil }
    guard let value = parse(text) else {
      throw CommandFailure(ExitCode.usage, "`\(flag)` must be \(expected), not `\(text)`")
    }
    return value
  }

  func time(_ flag: String) throws(CommandFailure) -> Int64? {
    try value(flag, as: "a time such as 2026-11-20T22:38:00Z") { Timestamp.parse($0) }
  }

  /// Milliseconds.
  func duration(_ flag: String) throws(CommandFailure) -> Int64? {
    try value(flag, as: "a duration such as 60s") { DurationText.parse($0) }
  }

  func int(_ flag: String, in range: ClosedRange<Int>) throws(CommandFailure) -> Int? {
    try value(flag, as: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// Comma-separated words of every occurrence.
  func list(_ flag: String) -> [String] {
    all(flag).flatMap { $0.split(separator: ",").map(String.init) }.filter { !$0.isEmpty }
  }

  func expectPositional(_ range: ClosedRange<Int>, _ usage: String) throws(CommandFailure) {
    guard range.contains(positional.count) else {
      throw CommandFailure(ExitCode.usage, "usage: vigil \(usage)")
    }
  }
}
