/// Room `ReportPages`: figures as one self-contained HTML page with drawings. Values in, text out: it reads no file, asks no
/// clock and names nobody it was not told to name.

/// HTML in the making. Words from outside go in escaped; only what this room writes itself goes in raw.
struct PageText {
  private(set) var text = ""

  /// Safe as text and within a quoted attribute, in HTML and XML. Controls, and marks that turn the direction of writing
  /// around, become U+FFFD: they could make a name read as another.
  static func escaped(_ words: String) -> String {
    var result = ""
    for scalar in words.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\t", "\n": result.unicodeScalars.append(scalar)
      case _ where isUnsafe(scalar): result.unicodeScalars.append("\u{FFFD}")
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069, 0xFFFE...0xFFFF: true
    default: false
    }
  }

  /// - Parameter html: written by this room, with everything from outside escaped.
  mutating func raw(_ html: String) { text += html }

  mutating func element(_ tag: String, _ attributes: String = "", _ body: (inout PageText) -> Void) {
    raw("<\(tag)\(attributes.isEmpty ? "" : " " + attributes)>")
    body(&self)
    raw("</\(tag)>\n")
  }

  /// One element with words in it, escaped.
  mutating func words(_ tag: String, _ words: String, _ attributes: String = "") {
    element(tag, attributes) { $0.raw(PageText.escaped(words)) }
  }

  mutating func paragraph(_ text: String) { words("p", text) }

  mutating func list(_ items: [String]) {
    guard !items.isEmpty else { return }
    element("ul") { list in for item in items { list.words("li", item) } }
  }

  /// A section with a heading of the second order.
  ///
  /// - Parameter id: unique on the page, letters and digits.
  mutating func section(_ id: String, _ title: String, _ body: (inout PageText) -> Void) {
    element("section", "aria-labelledby=\"h-\(id)\"") {
      $0.words("h2", title, "id=\"h-\(id)\"")
      body(&$0)
    }
  }

  /// A table that scrolls within itself where the page is narrow; the first cell of a row names it.
  mutating func table(_ caption: String, head: [String], rows: [[String]]) {
    words("p", caption, "class=\"name quiet\"")
    element("div", "class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"\(PageText.escaped(caption))\"") {
      $0.element("table", "aria-label=\"\(PageText.escaped(caption))\"") { table in
        table.element("thead") {
          $0.element("tr") { row in for cell in head { row.words("th", cell, "scope=\"col\"") } }
        }
        table.element("tbody") { body in for row in rows { body.tableRow(row) } }
      }
    }
  }

  private mutating func tableRow(_ cells: [String]) {
    element("tr") { row in
      for (index, cell) in cells.enumerated() {
        if index == 0 { row.words("th", cell, "scope=\"row\"") } else { row.words("td", cell) }
      }
    }
  }

  mutating func details(_ summary: String, _ body: (inout PageText) -> Void) {
    element("details") {
      $0.words("summary", summary)
      body(&$0)
    }
  }
}

/// Key and drawing of one kind of mark or line, for the list below a chart.
struct LegendEntry {
  var look: Look
  var words: String

  enum Look {
    case mark(ChartMark, Ink)
    case hollow(ChartMark, Ink)
    case line(Ink, isDashed: Bool)
    case area(Ink)
  }

  init(_ look: Look, _ words: String) {
    self.look = look
    self.words = words
  }

  /// A small drawing, told apart by its form before its colour.
  var svg: String {
    let drawing =
      switch look {
      case .mark(let mark, let ink): mark.path(x: 12, y: 8, size: 5, ink: ink)
      case .hollow(let mark, let ink): mark.path(x: 12, y: 8, size: 5, ink: ink, isHollow: true)
      case .line(let ink, let isDashed):
        "<path class=\"line \(ink.rawValue)\(isDashed ? " dash" : "")\" d=\"M1 8H23\"/>"
      case .area(let ink): "<rect class=\"area \(ink.rawValue)\" x=\"1\" y=\"2\" width=\"22\" height=\"12\"/>"
      }
    return "<svg class=\"key\" viewBox=\"0 0 24 16\" aria-hidden=\"true\">\(drawing)</svg>"
  }
}

extension PageText {
  /// A chart with its heading, what to see in it, its key, and its numbers as a table for those who cannot see it.
  mutating func figure(
    _ chart: Chart, reading: String, legend: [LegendEntry] = [], head: [String], rows: [[String]]
  ) {
    element("figure") { figure in
      figure.words("h3", chart.title)
      figure.raw(chart.svg)
      if !legend.isEmpty {
        figure.element("ul", "class=\"legend\"") { list in
          for entry in legend { list.raw("<li>\(entry.svg) \(PageText.escaped(entry.words))</li>\n") }
        }
      }
      figure.words("figcaption", reading)
      figure.details("Numbers of this drawing") { $0.table(chart.title, head: head, rows: rows) }
    }
  }
}
