"""A test bench for the line-buffer shuffle: a whole frame goes through two banks, read in the key's order."""

from scrambler.generators import TABLE
from sensor.rtl.design import Design, bits_for
from sensor.rtl.order_module import bus_bits


def line_bench(design: Design, bits: int) -> str:
    """Return a bench that shuffles the frame in ``codes.hex`` and compares it with ``shuffled.hex``.

    One bank fills with the next lines of the sensor, and is swapped when the scan asks for its segment.
    """
    _, word_bits = bus_bits(design)
    height, width = design.shape
    deep = design.lines * design.cell[0]
    size = deep * width
    longest = design.length(0)
    tables = design.generator == TABLE
    words = design.segments * (longest if tables else 1)
    give = (
        f"""for (i = 0; i < {longest}; i = i + 1) begin
                @(negedge clk);
                write = 1'b1; write_address = i; keys = words[segment * {longest} + i];
            end
            @(negedge clk);
            write = 1'b0;"""
        if tables
        else "keys = words[segment];"
    )
    return f"""// Sends a whole frame through the line buffers and compares every code with the one that Python gives.
`timescale 1ns/1ps

module line_shuffle_tb;
    localparam integer SLOTS = {height * width}, SIZE = {size};
    reg clk = 1'b0, reset = 1'b1, write = 1'b0, ready = 1'b0, fill = 1'b0, swap = 1'b0, delivered = 1'b0;
    reg [31:0] write_address = 0;
    reg [{word_bits - 1}:0] keys;
    reg [{word_bits - 1}:0] words [0:{words - 1}];
    reg [{bits - 1}:0] codes [0:SLOTS-1];
    reg [{bits - 1}:0] shuffled [0:SLOTS-1];
    reg [{bits - 1}:0] code_in;
    wire [{bits - 1}:0] code_out;
    wire ask, valid;
    wire [15:0] segment;
    wire [31:0] local_address;
    integer i, first, count, wrong;

    readout_order readout_order (
        .clk(clk), .reset(reset), .row_keys({bus_bits(design)[0]}'d0), .row_write(1'b0), .row_write_address(32'd0),
        .keys(keys), .write(write), .write_address(write_address), .ask(ask), .segment(segment), .ready(ready),
        .valid(valid), .y(), .x(), .local_address(local_address)
    );
    line_buffer #(.SIZE(SIZE), .AB({bits_for(size - 1)}), .BITS({bits})) line_buffer (
        .clk(clk), .reset(reset), .write(fill), .code_in(code_in), .swap(swap),
        .read_address(local_address[{bits_for(size - 1) - 1}:0]), .code_out(code_out)
    );

    always #5 clk = !clk;

    always @(posedge clk) begin
        delivered <= valid;
        if (delivered) begin
            if (code_out !== shuffled[count]) begin
                if (wrong == 0) $display("FAIL slot %0d: %0d, not %0d", count, code_out, shuffled[count]);
                wrong = wrong + 1;
            end
            count = count + 1;
        end
    end

    initial begin
        count = 0; wrong = 0; first = 0;
        $readmemh("words.hex", words);
        $readmemh("codes.hex", codes);
        $readmemh("shuffled.hex", shuffled);
        @(negedge clk);
        @(negedge clk);
        reset = 1'b0;
        while (first < SLOTS) begin
            for (i = first; i < first + SIZE && i < SLOTS; i = i + 1) begin
                fill = 1'b1; code_in = codes[i];
                @(negedge clk);
            end
            fill = 1'b0;
            wait (ask);
            @(negedge clk);
            {give}
            swap = 1'b1; @(negedge clk); swap = 1'b0;
            ready = 1'b1; @(negedge clk); ready = 1'b0;
            first = first + SIZE;
        end
        wait (count == SLOTS);
        if (wrong == 0) $display("PASS %0d codes", count);
        else $display("FAIL %0d of %0d codes", wrong, count);
        $finish;
    end
endmodule
"""
