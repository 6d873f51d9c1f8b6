/// One thing wrong with a text, and where.
package struct TextProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package var file: String
  /// 1-based; 0 when the whole file is meant (it cannot be read, say).
  package var line: Int
  /// 1-based, in characters; 0 when the whole line or file is meant.
  package var column: Int
  /// Lower case, no full stop.
  package var message: String
  /// What was probably meant.
  package var suggestion: String?

  package init(file: String, line: Int, column: Int, message: String, suggestion: String? = nil) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.suggestion = suggestion
  }

  /// `file:line:column: message`, always one line.
  package var description: String {
    let place = line > 0 ? column > 0 ? "\(file):\(line):\(column)" : "\(file):\(line)" : file
    let hint = suggestion.map { "; did you mean `\($0)`?" } ?? ""
    return "\(place): \(TextProblem.oneLine(message))\(TextProblem.oneLine(hint))"
  }

  /// The description, the line it speaks of and a caret under the column.
  package func rendered(source: String) -> String {
    guard line > 0, column > 0 else { return description }
    let lines = source.split(omittingEmptySubsequences: false) { $0.isNewline }
    guard line <= lines.count else { return description }
    // A tab is one column wide to the parser; so it must be on the screen, or the caret points beside the fault.
    let shown = String(lines[line - 1].map { $0 == "\t" ? " " : $0 })
    return "\(description)\n  \(shown)\n  \(String(repeating: " ", count: min(column - 1, shown.count)))^"
  }

  private static func oneLine(_ text: String) -> String {
    text.contains { $0.isNewline } ? text.split(whereSeparator: \.isNewline).joined(separator: " ") : text
  }
}

/// Several things wrong, in the order of their places.
package struct TextProblems: Error, Hashable, Sendable, CustomStringConvertible {
  package var all: [TextProblem]
  package init(_ all: [TextProblem]) { self.all = all }
  /// One line for each.
  package var description: String { all.map(\.description).joined(separator: "\n") }
}

/// Collects the problems of one file, so that its author sees all of them at once.
package struct Problems: Sendable {
  package let file: String
  package private(set) var all: [TextProblem] = []
  /// Problems beyond this are one closing line: a file of nonsense must not fill a log.
  package static let countMax = 100

  package init(file: String) { self.file = file }

  package var isEmpty: Bool { all.isEmpty }

  package mutating func add(_ node: YAMLNode, _ message: String, suggestion: String? = nil) {
    add(line: node.line, column: node.column, message, suggestion: suggestion)
  }

  package mutating func add(line: Int, column: Int, _ message: String, suggestion: String? = nil) {
    add(TextProblem(file: file, line: line, column: column, message: message, suggestion: suggestion))
  }

  package mutating func add(_ problem: TextProblem) {
    if all.count < Problems.countMax {
      all.append(problem)
    } else if all.count == Problems.countMax {
      all.append(TextProblem(file: file, line: 0, column: 0, message: "further problems are not listed"))
    }
  }

  package mutating func add(contentsOf problems: [TextProblem]) {
    for problem in problems { add(problem) }
  }

  /// In the order of their places in the file; those of the whole file last.
  package var sorted: [TextProblem] {
    all.enumerated().sorted { a, b in
      let left = (a.element.line == 0 ? Int.max : a.element.line, a.element.column, a.offset)
      let right = (b.element.line == 0 ? Int.max : b.element.line, b.element.column, b.offset)
      return left < right
    }.map(\.element)
  }

  /// Throws everything collected, if anything was.
  package func check() throws(TextProblems) {
    if !all.isEmpty { throw TextProblems(sorted) }
  }
}
