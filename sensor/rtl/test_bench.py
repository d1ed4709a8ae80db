"""Self-checking test benches in Verilog; each prints PASS and how much was right, or FAIL and where."""

from scrambler.generators import TABLE
from sensor.rtl.design import Design, bits_for
from sensor.rtl.order_module import bus_bits

ORDER_BENCH = "readout_order_tb"


def order_bench(design: Design) -> str:
    """Return a bench that feeds a frame's keys or tables and compares the address of every slot.

    Files in the folder it runs in: ``row_words.hex``, ``words.hex``, ``expected.hex``; ``+folder=DIR/`` in front.
    ``+count=N`` stops after so many slots.
    """
    row_bits, word_bits = bus_bits(design)
    slots = design.shape[0] * design.shape[1]
    tables = design.generator == TABLE
    longest = design.length(0) if design.segments else 1
    words = (design.segments * longest if tables else design.segments) or 1
    row_words = design.rows if tables else 1
    # A table is written entry by entry before the segment is said to be ready.
    supply = (
        f"""
            write <= 1'b0;
            ready <= 1'b0;
            if (ask && !ready) begin
                if (filled == {longest}) begin ready <= 1'b1; filled <= 0; end
                else begin
                    write <= 1'b1;
                    write_address <= filled;
                    keys <= words[segment * {longest} + filled];
                    filled <= filled + 1;
                end
            end"""
        if tables
        else """
            keys <= words[segment];
            asked <= ask;
            ready <= ask && asked && !ready;"""
    )
    load_rows = (
        """
        for (i = 0; i < ROW_WORDS; i = i + 1) begin
            @(negedge clk);
            row_write = 1'b1;
            row_write_address = i;
            row_keys = row_words[i];
        end
        @(negedge clk);
        row_write = 1'b0;"""
        if tables and design.orders_rows
        else "\n        row_keys = row_words[0];"
    )
    yb, xb = bits_for(design.shape[0] - 1), bits_for(design.shape[1] - 1)
    return f"""// Compares every address of a frame with the one that Python gives.
`timescale 1ns/1ps

module {ORDER_BENCH};
    localparam integer SLOTS = {slots}, ROW_WORDS = {row_words};
    reg clk = 1'b0, reset = 1'b1, row_write = 1'b0, write = 1'b0, ready = 1'b0, asked = 1'b0;
    reg [31:0] row_write_address = 0, write_address = 0;
    reg [{row_bits - 1}:0] row_keys;
    reg [{word_bits - 1}:0] keys;
    wire ask, valid;
    wire [15:0] segment;
    wire [{yb - 1}:0] y;
    wire [{xb - 1}:0] x;
    wire [31:0] local_address;
    reg [{row_bits - 1}:0] row_words [0:ROW_WORDS-1];
    reg [{word_bits - 1}:0] words [0:{words - 1}];
    reg [31:0] expected [0:SLOTS-1];
    reg [8*512-1:0] folder;
    integer i, count, limit, wrong, filled, idle;

    readout_order readout_order (
        .clk(clk), .reset(reset), .row_keys(row_keys), .row_write(row_write), .row_write_address(row_write_address),
        .keys(keys), .write(write), .write_address(write_address), .ask(ask), .segment(segment), .ready(ready),
        .valid(valid), .y(y), .x(x), .local_address(local_address)
    );

    always #5 clk = !clk;

    always @(posedge clk) begin
        if (!reset) begin{supply}
            idle <= valid ? 0 : idle + 1;
            if (valid) begin
                if (expected[count] !== (y * 32'd65536 + x)) begin
                    if (wrong == 0) $display("FAIL slot %0d: %0d,%0d, not %08x", count, y, x, expected[count]);
                    wrong <= wrong + 1;
                end
                count <= count + 1;
            end
            if (count == limit || idle > 4 * SLOTS + 100000) begin
                if (wrong == 0 && count == limit) $display("PASS %0d addresses", count);
                else $display("FAIL %0d of %0d addresses are wrong or missing", wrong + limit - count, limit);
                $finish;
            end
        end
    end

    initial begin
        count = 0; wrong = 0; filled = 0; idle = 0;
        if (!$value$plusargs("folder=%s", folder)) folder = "";
        if (!$value$plusargs("count=%d", limit)) limit = SLOTS;
        $readmemh({{folder, "row_words.hex"}}, row_words);
        $readmemh({{folder, "words.hex"}}, words);
        $readmemh({{folder, "expected.hex"}}, expected, 0, limit - 1);{load_rows}
        @(negedge clk);
        @(negedge clk);
        reset = 1'b0;
    end
endmodule
"""
