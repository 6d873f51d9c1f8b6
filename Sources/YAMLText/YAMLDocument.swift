import CFYAML

/// Reads YAML 1.2 text into a tree of nodes with places. Its one job is syntax: it never opens a file, never decides what
/// a value means, and never prints.
package enum YAMLDocument {
  /// Bytes of one text.
  package static let bytesMax = 4 << 20
  /// Nodes of one text with every alias written out: bounds what a few nested aliases can become.
  package static let nodesMax = 200_000
  /// Levels of nesting, aliases written out.
  package static let depthMax = 64

  /// The one document of a text; an empty text is `null`.
  package static func parse(_ text: String, file: String) throws(TextProblem) -> YAMLNode {
    let documents = try parseAll(text, file: file)
    if documents.count > 1 {
      throw TextProblem(
        file: file, line: documents[1].line, column: documents[1].column,
        message: "one document expected, a second begins here")
    }
    return documents.first ?? YAMLNode(.null, line: 1, column: 1)
  }

  /// As ``parse(_:file:)``, for readers that gather all problems of a file: one that is no YAML has one problem.
  package static func root(_ text: String, file: String) throws(TextProblems) -> YAMLNode {
    do throws(TextProblem) { return try parse(text, file: file) } catch { throw TextProblems([error]) }
  }

  /// Every document of a text, in order.
  package static func parseAll(_ text: String, file: String) throws(TextProblem) -> [YAMLNode] {
    var copy = text
    guard copy.utf8.count <= bytesMax else {
      throw TextProblem(
        file: file, line: 0, column: 0, message: "text of \(copy.utf8.count) bytes is over the limit of \(bytesMax)")
    }
    if let bad = forbiddenCharacter(copy) {
      throw TextProblem(file: file, line: bad.line, column: bad.column, message: "control character in the text")
    }
    let result: Result<[YAMLNode], TextProblem> = copy.withUTF8 { bytes in
      guard let base = bytes.baseAddress, !bytes.isEmpty else { return .success([]) }
      return base.withMemoryRebound(to: CChar.self, capacity: bytes.count) { start in
        do throws(TextProblem) {
          var tree = TreeBuilder(file: file)
          let parser = try EventParser(start: start, count: bytes.count, file: file)
          while try parser.next({ event throws(TextProblem) in try tree.apply(event) }) {}
          return .success(tree.documents)
        } catch {
          return .failure(error)
        }
      }
    }
    return try result.get()
  }

  /// Control characters YAML does not allow anywhere; refused here with a place, before C code sees them.
  private static func forbiddenCharacter(_ text: String) -> (line: Int, column: Int)? {
    guard text.utf8.contains(where: { $0 < 32 && $0 != 9 && $0 != 10 && $0 != 13 || $0 == 127 }) else { return nil }
    var line = 1
    var column = 1
    for scalar in text.unicodeScalars {
      if scalar == "\n" {
        line += 1
        column = 1
        continue
      }
      if scalar.value < 32 && scalar != "\t" && scalar != "\r" || scalar.value == 127 { return (line, column) }
      column += 1
    }
    return nil
  }
}

/// The libfyaml parser over one text; its diagnostics are collected, not printed.
///
/// The text must stay in place while the parser lives: libfyaml keeps pointers into it.
private final class EventParser {
  private let parser: OpaquePointer
  private let diagnostics: OpaquePointer
  private let file: String

  init(start: UnsafePointer<CChar>, count: Int, file: String) throws(TextProblem) {
    self.file = file
    var settings = fy_diag_cfg()
    fy_diag_cfg_default(&settings)
    settings.fp = nil
    settings.output_fn = discardDiagnostics
    settings.colorize = false
    guard let diagnostics = fy_diag_create(&settings) else { throw Self.outOfMemory(file) }
    fy_diag_set_collect_errors(diagnostics, true)
    var configuration = fy_parse_cfg()
    configuration.flags = fy_parse_cfg_flags(FYPCF_QUIET.rawValue | FYPCF_COLLECT_DIAG.rawValue)
    configuration.diag = diagnostics
    guard let parser = fy_parser_create(&configuration) else {
      fy_diag_destroy(diagnostics)
      throw Self.outOfMemory(file)
    }
    self.parser = parser
    self.diagnostics = diagnostics
    guard fy_parser_set_string(parser, start, count) == 0 else { throw firstError() }
  }

  deinit {
    fy_parser_destroy(parser)
    fy_diag_destroy(diagnostics)
  }

  /// Hands the next event to `body`; false after the last one.
  func next(_ body: (UnsafeMutablePointer<fy_event>) throws(TextProblem) -> Void) throws(TextProblem) -> Bool {
    guard let event = fy_parser_parse(parser) else {
      if fy_parser_get_stream_error(parser) || fy_diag_got_error(diagnostics) { throw firstError() }
      return false
    }
    defer { fy_parser_event_free(parser, event) }
    try body(event)
    return true
  }

  private func firstError() -> TextProblem {
    var position: UnsafeMutableRawPointer?
    guard let error = fy_diag_errors_iterate(diagnostics, &position) else {
      return TextProblem(file: file, line: 0, column: 0, message: "not YAML")
    }
    let message = error.pointee.msg.map { String(cString: $0) } ?? "not YAML"
    return TextProblem(
      file: file, line: max(1, Int(error.pointee.line)), column: max(1, Int(error.pointee.column)), message: message)
  }

  private static func outOfMemory(_ file: String) -> TextProblem {
    TextProblem(file: file, line: 0, column: 0, message: "no memory for the YAML parser")
  }
}

/// Where libfyaml would print: the collected errors carry the same text.
private func discardDiagnostics(
  _: OpaquePointer?, _: UnsafeMutableRawPointer?, _: UnsafePointer<CChar>?, _: Int
) {}

/// Builds the tree from events with its own stack, so that nesting is bounded before anything recurses.
private struct TreeBuilder {
  /// A finished node and what it weighs with its aliases written out.
  private struct Built {
    var node: YAMLNode
    var count: Int
    /// Levels below and including it.
    var depth: Int
  }

  private struct Frame {
    var isMapping: Bool
    var line: Int
    var column: Int
    var anchor: String?
    var elements: [YAMLNode] = []
    var entries: [YAMLNode.Entry] = []
    var key: YAMLNode?
    var keys: Set<String> = []
    var count = 1
    var depth = 0
  }

  let file: String
  private(set) var documents: [YAMLNode] = []
  private var frames: [Frame] = []
  private var anchors: [String: Built] = [:]
  private var total = 0

  init(file: String) { self.file = file }

  mutating func apply(_ event: UnsafeMutablePointer<fy_event>) throws(TextProblem) {
    let mark = fy_event_start_mark(event)
    let line = mark.map { Int($0.pointee.line) + 1 } ?? 1
    var column = mark.map { Int($0.pointee.column) + 1 } ?? 1
    // The tokens of aliases begin behind their `*`, those of quoted texts behind the quote.
    if beginsBehindItsMark(event), column > 1 { column -= 1 }
    switch event.pointee.type {
    case FYET_DOCUMENT_START: anchors = [:]
    case FYET_SCALAR:
      let data = event.pointee.scalar
      try refuseTag(data.tag, line, column)
      try finish(
        Built(node: scalar(data.value, line, column), count: 1, depth: 1), anchor: text(data.anchor), isAlias: false)
    case FYET_SEQUENCE_START:
      let data = event.pointee.sequence_start
      try refuseTag(data.tag, line, column)
      try open(Frame(isMapping: false, line: line, column: column, anchor: text(data.anchor)))
    case FYET_MAPPING_START:
      let data = event.pointee.mapping_start
      try refuseTag(data.tag, line, column)
      try open(Frame(isMapping: true, line: line, column: column, anchor: text(data.anchor)))
    case FYET_SEQUENCE_END, FYET_MAPPING_END:
      guard let frame = frames.popLast() else { return }
      let content: YAMLNode.Content = frame.isMapping ? .mapping(frame.entries) : .sequence(frame.elements)
      let node = YAMLNode(content, line: frame.line, column: frame.column)
      try finish(
        Built(node: node, count: frame.count, depth: frame.depth + 1), anchor: frame.anchor, isAlias: false,
        isCounted: true)
    case FYET_ALIAS:
      let name = text(event.pointee.alias.anchor) ?? ""
      guard let built = anchors[name] else {
        throw problem(line, column, "alias `\(name)` has no anchor before it")
      }
      try finish(built, anchor: nil, isAlias: true)
    default: break
    }
  }

  private mutating func open(_ frame: Frame) throws(TextProblem) {
    if frames.last?.isMapping == true, frames.last?.key == nil {
      throw problem(frame.line, frame.column, "a key must be a single word or text, not a list or mapping")
    }
    guard frames.count < YAMLDocument.depthMax else { throw tooDeep(frame.line, frame.column) }
    try count(1, frame.line, frame.column)
    frames.append(frame)
  }

  /// Puts a finished node where it belongs: key, value, element or document.
  private mutating func finish(
    _ built: Built, anchor: String?, isAlias: Bool, isCounted: Bool = false
  ) throws(TextProblem) {
    let node = built.node
    if !isCounted { try count(built.count, node.line, node.column) }
    guard frames.count + built.depth <= YAMLDocument.depthMax else { throw tooDeep(node.line, node.column) }
    if let anchor { anchors[anchor] = built }
    guard let top = frames.indices.last else {
      documents.append(node)
      return
    }
    frames[top].count += built.count
    frames[top].depth = max(frames[top].depth, built.depth)
    guard frames[top].isMapping else {
      frames[top].elements.append(node)
      return
    }
    if let key = frames[top].key {
      frames[top].entries.append(YAMLNode.Entry(key: key, value: node))
      frames[top].key = nil
      return
    }
    try addKey(node, to: top)
  }

  private mutating func addKey(_ node: YAMLNode, to top: Int) throws(TextProblem) {
    guard let name = node.scalar else {
      throw problem(node.line, node.column, "a key must be a single word or text, not \(node.kindText)")
    }
    guard frames[top].keys.insert(name).inserted else {
      let first = frames[top].entries.first { $0.key.scalar == name }?.key
      let place = first.map { ", first at line \($0.line)" } ?? ""
      throw problem(node.line, node.column, "key `\(name)` is given twice\(place)")
    }
    frames[top].key = node
  }

  private mutating func count(_ more: Int, _ line: Int, _ column: Int) throws(TextProblem) {
    total += more
    guard total <= YAMLDocument.nodesMax else {
      throw problem(line, column, "more than \(YAMLDocument.nodesMax) values, aliases written out")
    }
  }

  private func beginsBehindItsMark(_ event: UnsafeMutablePointer<fy_event>) -> Bool {
    if event.pointee.type == FYET_ALIAS { return true }
    guard event.pointee.type == FYET_SCALAR, let token = event.pointee.scalar.value else { return false }
    let style = fy_token_scalar_style(token)
    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED
  }

  private func scalar(_ token: OpaquePointer?, _ line: Int, _ column: Int) -> YAMLNode {
    let value = text(token) ?? ""
    let isPlain = token == nil || fy_token_scalar_style(token) == FYSS_PLAIN
    if isPlain, value.isEmpty || value == "~" || value == "null" {
      return YAMLNode(.null, line: line, column: column)
    }
    return YAMLNode(.scalar(value, isPlain ? .plain : .quoted), line: line, column: column)
  }

  private func text(_ token: OpaquePointer?) -> String? {
    guard let token else { return nil }
    var count = 0
    guard let start = fy_token_get_text(token, &count) else { return nil }
    return start.withMemoryRebound(to: UInt8.self, capacity: count) {
      String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
    }
  }

  /// A tag asks the reader to build something special; nothing here does.
  private func refuseTag(_ tag: OpaquePointer?, _ line: Int, _ column: Int) throws(TextProblem) {
    if let name = text(tag) { throw problem(line, column, "tags are not used here (`\(name)`)") }
  }

  private func tooDeep(_ line: Int, _ column: Int) -> TextProblem {
    problem(line, column, "nested deeper than \(YAMLDocument.depthMax) levels")
  }

  private func problem(_ line: Int, _ column: Int, _ message: String) -> TextProblem {
    TextProblem(file: file, line: line, column: column, message: message)
  }
}
